"""A kernel's connection folder lies in the host's memory: it is for sockets, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jupyter_containers.runtime.base import BindMount


@pytest.fixture
def start(house) -> Iterator[Callable[[str], Any]]:
    """``start(script)`` → a container as a kernel's, in its connection folder."""
    made = []

    def start(script: str, **fields: Any) -> Any:
        folder = house.paths.runtime / "k" / f"{len(made):08x}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "connection.json").write_text("{}")
        path = str(folder)
        container = house.create(
            "sh", "-c", script, cwd=path, scratch=(path,), kind="kernel",
            mounts=(BindMount(source=path, target=path, mode="rw"),), **fields,
        )  # fmt: skip
        container.start()
        made.append(container)
        return container

    yield start
    for container in made:
        container.remove(force=True)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("dd if=/dev/zero of=big bs=1M count=64; sleep 60", "bytes into its connection folder"),
        ("dd if=/dev/zero of=connection.json bs=1M count=64; sleep 60", "bytes into its connection folder"),
        ("exec 3>x; rm x; while :; do echo x >&3; sleep 0.01; done", "that it has removed"),
        ("exec 3>connection.json; rm connection.json; while :; do echo x >&3; sleep 0.01; done", "that it has removed"),
        ("mkdir -p a; sleep 60", "made a folder"),
        ("i=0; while :; do : > f$i; i=$((i+1)); done", "files in its connection folder"),
        ("while :; do echo > x; done", "more than 1000 times"),
        ("mkdir /tmp/d; echo x > /tmp/d/x; cp -r /tmp/d .; sleep 60", "made a folder"),
    ],
)
def test_who_puts_something_else_there_is_ended(start, script: str, told: str) -> None:
    container = start(script)
    assert container.wait(30) == 137
    assert told in container.cause


def test_one_that_outlives_its_starter_is_watched_too(start) -> None:
    container = start("dd if=/dev/zero of=big bs=1M count=64; sleep 60", die_with_parent=False, outlive=60)
    assert container.wait(30) == 137
    assert "bytes into its connection folder" in container.cause


def test_what_kernels_do_is_fine(start) -> None:
    aside = "for i in 1 2 3; do echo '{}' > new; mv new connection.json; done; "
    container = start("mkfifo s-1 s-2 s-3; rm s-1; mkfifo s-1; " + aside + "sleep 0.5; echo fine; exit 3")
    assert container.wait(30) == 3
    assert "fine" in container.logs()


def test_what_was_there_before_the_watch_is_seen(start, house) -> None:
    folder = house.paths.runtime / "k/00000000"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "big").write_bytes(b"x" * (2 << 20))
    container = start("sleep 60")
    assert container.wait(30) == 137
    assert "bytes into" in container.cause
