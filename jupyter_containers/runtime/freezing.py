"""A running container stands still while its files are looked at, and goes on afterwards in any case.

By its control group's freezer where it has one (v2: cgroup.freeze, v1: freezer.state), else by SIGSTOP to each of its
processes, until none is left that runs. Who ends the standstill is a process of its own (:mod:`.thaw`): one that
lives on when this one is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import ContainerError
from ..sandbox.cgroup import Group
from .identity import read_start_time
from .processes import list_inside
from .removal import find_group

__all__ = ["bring_to_standstill", "frozen", "has_freezer"]

_PATIENCE = 10.0
"""Seconds: a process that waits for a disk can't be stopped before that has answered."""
_STOPPED = (b"T", b"t", b"Z", b"X")
"""States of proc(5)."""


@contextmanager
def frozen(path: Path, first: int, *, name: str) -> Iterator[None]:
    """No process of the container in *path*, whose pid 1 is *first*, runs until the end.

    Raises :class:`ContainerError` where it does not come to a standstill; it goes on then.
    """
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("thaw.py")), str(os.getpid())],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, cwd="/",
        env={}, bufsize=0,
    )  # fmt: skip
    assert keeper.stdin is not None
    told = keeper.stdin.fileno()

    def remember(line: str) -> None:
        os.write(told, f"{line}\n".encode("utf-8", "surrogateescape"))

    try:
        bring_to_standstill(path, first, name=name, remember=remember)
        yield
    finally:
        _, said = keeper.communicate(b"\n.\n")
        if keeper.returncode != 0:
            raise ContainerError(
                f"container {name} stands still and can't be let go on: {said.decode(errors='replace').strip()}",
                hint=f"`jupyter containers kill {name}` ends it",
            )


def bring_to_standstill(path: Path, first: int, *, name: str, remember: Callable[[str], None]) -> None:
    """Stop every process of the container in *path*. *remember* is told, before each step, how to undo it: a line as
    :mod:`.thaw` reads it. Raises :class:`ContainerError` where one goes on; what was done by then is to be undone."""
    group = find_group(path)
    if group is not None and has_freezer(group):
        _freeze_group(group, remember, name)
    else:
        _stop_processes(first, remember, name)


def has_freezer(group: Group) -> bool:
    return bool(group.folders.keys() & {"unified", "freezer"})


def _freeze_group(group: Group, remember: Callable[[str], None], name: str) -> None:
    unified = group.folders.get("unified")
    file, word = (unified / "cgroup.freeze", "0") if unified else (group.folders["freezer"] / "freezer.state", "THAWED")
    remember(f"{word} {file}")
    group.freeze()
    deadline = time.monotonic() + _PATIENCE
    while not _is_frozen(unified, file):
        if time.monotonic() > deadline:
            raise _restless(name)
        time.sleep(0.002)


def _is_frozen(unified: Path | None, file: Path) -> bool:
    if unified is not None:
        return "frozen 1" in (unified / "cgroup.events").read_text().splitlines()
    return file.read_text().strip() == "FROZEN"  # FREEZING until the last one has stopped


def _stop_processes(first: int, remember: Callable[[str], None], name: str) -> None:
    """Parents first (they have the lower numbers, as a rule): a shell is not told that its children have stopped."""
    stopped: set[tuple[int, int]] = set()
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = [(pid, start) for pid in sorted(list_inside(first)) if (start := read_start_time(pid)) is not None]
        new = [each for each in found if each not in stopped]
        for pid, start in new:
            remember(f"{pid} {start}")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            stopped.add((pid, start))
        if not new and all(_stands_still(pid) for pid, _ in found):
            return
        if time.monotonic() > deadline:
            raise _restless(name)
        time.sleep(0.001)


def _stands_still(pid: int) -> bool:
    """Whether all threads do: a thread stops when it comes out of its system call."""
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/stat", "rb") as file:
                text = file.read()
            if text[text.rindex(b")") + 2 :].split(maxsplit=1)[0] not in _STOPPED:
                return False
    except (FileNotFoundError, ProcessLookupError):
        return True
    return True


def _restless(name: str) -> ContainerError:
    return ContainerError(
        f"container {name} does not stand still within {_PATIENCE:.0f} seconds",
        hint="a process of it waits for a device or a network disk; try again later, or stop the container",
    )
