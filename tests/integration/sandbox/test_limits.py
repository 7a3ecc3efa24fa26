"""Limits are enforced, or refused."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import LimitError
from jupyter_containers.sandbox import cgroup
from jupyter_containers.sandbox.controllers import Facts, Hierarchy, decide
from jupyter_containers.sandbox.model import Limits
from jupyter_containers.sandbox.process import run, spawn

Make = Callable[..., Any]
NAME = f"jc-test-{os.getpid()}"


def enforced(limit: str) -> bool:
    limits = Limits(memory=1 << 30, cpus=1, pids=10)
    return limit not in decide(limits, cgroup.find_facts(limits)).unenforced


def needs(limit: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not enforced(limit), reason=f"no control group for {limit} can be made here")


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Any:
    made = cgroup.make_group(NAME, request.param)
    assert made is not None
    yield made
    made.remove()


HOG = "python3 -c 'x = bytearray(200 << 20); print(len(x))'"


@needs("memory")
@pytest.mark.parametrize("group", [Limits(memory=64 << 20)], indirect=True)
def test_memory(make: Make, group: cgroup.Group) -> None:
    process = spawn(make(f"exec {HOG}"), group=group)
    assert process.wait(60) == 137
    usage = group.stats()
    assert usage.oom_kills
    assert usage.memory_limit == 64 << 20
    assert usage.memory_peak is not None
    assert usage.memory_peak <= 64 << 20


@needs("cpus")
@pytest.mark.parametrize("group", [Limits(cpus=0.25)], indirect=True)
def test_cpus(make: Make, group: cgroup.Group) -> None:
    with spawn(make("while :; do :; done"), group=group):
        begin, used = time.monotonic(), group.stats().cpu_seconds
        time.sleep(2)
        share = (group.stats().cpu_seconds - used) / (time.monotonic() - begin)
    assert share < 0.5


@pytest.mark.parametrize("group", [Limits(pids=20)], indirect=True)
def test_pids(make: Make, group: cgroup.Group) -> None:
    """By a control group or by RLIMIT_NPROC: in both cases only this sandbox's own processes count."""
    code = """
import os, time
n = 0
try:
    while n < 100:
        if os.fork() == 0:
            time.sleep(60)
        n += 1
except OSError:
    print(n)
"""
    said: list[bytes] = []
    run(make(argv=("/usr/bin/python3", "-c", code)), on_output=said.append, timeout=60, group=group)
    assert 10 <= int(b"".join(said)) < 20
    again = cgroup.make_group(f"{NAME}-2", Limits(pids=20))
    assert again is not None
    with spawn(make("for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait"), group=again):
        other: list[bytes] = []
        run(make("sleep 0.1 & wait; echo fine"), on_output=other.append, timeout=60, group=group)
        assert other == [b"fine\n"]
    again.remove()


@needs("memory")
@pytest.mark.parametrize("group", [Limits(memory=256 << 20)], indirect=True)
def test_a_group_ends_all_it_holds(make: Make, group: cgroup.Group) -> None:
    process = spawn(make("for i in 1 2 3; do (setsid sleep 60 &); done; sleep 60"), group=group)
    assert len(group.pids()) >= 3
    restored = cgroup.restore_group(group.describe())
    assert restored.report() == group.report()
    restored.kill()
    assert process.wait(30) == 137
    assert not group.pids()


@needs("memory")
@pytest.mark.parametrize("group", [Limits(memory=256 << 20)], indirect=True)
def test_a_group_can_be_frozen(make: Make, group: cgroup.Group, store: Path) -> None:
    with spawn(make("while :; do echo x >> /home/log; sleep 0.01; done"), group=group):
        log = store / "upper/home/log"
        while not log.exists():
            time.sleep(0.01)
        group.freeze()
        time.sleep(0.1)
        size = log.stat().st_size
        time.sleep(0.2)
        assert log.stat().st_size == size
        group.freeze(frozen=False)
        while log.stat().st_size == size:
            time.sleep(0.01)


@needs("memory")
def test_groups_are_found_by_name_and_leave_nothing() -> None:
    made = cgroup.make_group(f"{NAME}-found", Limits(memory=256 << 20))
    assert made is not None
    found = cgroup.find_group(f"{NAME}-found")
    assert found is not None
    found.remove()
    assert cgroup.find_group(f"{NAME}-found") is None
    assert not any(folder.exists() for folder in made.folders.values())
    made.remove()


def test_what_cannot_be_enforced_is_refused() -> None:
    nothing = Facts(pids_per_namespace=False)
    with pytest.raises(LimitError, match="memory, cpus, pids"):
        cgroup.make_group(NAME, Limits(memory=1, cpus=1, pids=1), facts=nothing)
    accepted = cgroup.make_group(NAME, Limits(cpus=1), accept=["cpus"], facts=nothing)
    assert accepted is None or accepted.report()[0].enforced_by == ""


def test_memory_by_rlimit_when_that_is_accepted(make: Make) -> None:
    group = cgroup.make_group(NAME, Limits(memory=100 << 20), accept=["memory"], facts=Facts())
    assert group is not None
    assert group.report()[0].enforced_by == "rlimit"
    said: list[bytes] = []
    code = run(make(f"exec {HOG}"), on_output=said.append, timeout=60, group=group)
    assert code == 1
    assert b"MemoryError" in b"".join(said)


def test_open_files_and_file_sizes(make: Make) -> None:
    said: list[bytes] = []
    sandbox = make("ulimit -n; ulimit -f", limits=Limits(open_files=100, file_size=1 << 20))
    run(sandbox, on_output=said.append, timeout=60)
    assert b"".join(said).split() == [b"100", b"2048"]


def unified() -> Path | None:
    own = [each.own for each in cgroup.this_host().hierarchies if each.version == 2]
    return own[0] if own and os.access(own[0], os.W_OK) else None


@pytest.mark.skipif(unified() is None, reason="no writable cgroup v2 tree")
def test_a_v2_group_joins_freezes_and_kills(make: Make, store: Path) -> None:
    """The parts of v2 that need no controller; on hybrid hosts, whose v2 tree has none, too."""
    place = unified()
    assert place is not None
    facts = Facts((Hierarchy(2, place, frozenset({"any"}), True),))
    group = cgroup.make_group(NAME, Limits(), facts=facts)
    assert group is not None
    try:
        process = spawn(make("(setsid sleep 60 &); while :; do echo x >> /home/log; sleep 0.01; done"), group=group)
        assert process.command_pid in group.pids()
        log = store / "upper/home/log"
        while not log.exists():
            time.sleep(0.01)
        group.freeze()
        deadline = time.monotonic() + 10
        while "frozen 1" not in (group.folders["unified"] / "cgroup.events").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        size = log.stat().st_size
        time.sleep(0.2)
        assert log.stat().st_size == size
        group.freeze(frozen=False)
        assert group.stats().cpu_seconds is not None
        group.kill()
        assert process.wait(30) == 137
    finally:
        group.remove()
    assert not group.folders["unified"].exists()
