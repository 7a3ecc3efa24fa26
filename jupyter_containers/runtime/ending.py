"""What is written when a container has ended: exit code and cause.

Standard library and ``sandbox/`` only, state as plain JSON: the monitor does this in a process that stays small.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..image.tree import remove_tree
from ..spec.sizes import format_size
from .removal import find_group, hide_container, write_end

__all__ = ["End", "MemoryEnd", "describe_end", "finish", "remove_rest"]

_WATCHED = 2.0
"""Seconds that those who wait for a container's end have to read it before `--rm` removes it."""


class MemoryEnd(NamedTuple):
    """What the control group counted."""

    kills: int
    """Processes that the kernel killed because the group had reached its limit."""
    limit: int | None
    peak: int | None


class End(NamedTuple):
    cause: str
    left: Path | None = None
    """What is still to be removed of a container that is gone for all others, by :func:`remove_rest`."""


def describe_end(exit_code: int, *, memory: MemoryEnd | None = None, reason: str = "") -> str:
    """The cause in words; empty for exit code 0 and nothing to tell.

    *reason*: why the runtime itself ended it (the disk limit), which says more than the signal it used.
    """
    if reason:
        return reason
    told = _signal_name(exit_code - 128) if 128 < exit_code <= 128 + signal.NSIG else ""
    told = f"killed by {told}" if told else f"exit code {exit_code}" if exit_code else ""
    if memory is None or not memory.kills:
        return told
    figures = [
        f"{name} {format_size(value)}"
        for name, value in (("limit", memory.limit), ("peak", memory.peak))
        if value is not None
    ]
    where = f" ({', '.join(figures)})" if figures else ""
    if exit_code == 128 + signal.SIGKILL:
        return f"out of memory{where}"
    killed = f"{memory.kills} of its processes killed: out of memory{where}"
    return f"{told}; {killed}" if told else killed


def finish(path: Path, exit_code: int, *, reason: str = "", remove: bool = False) -> End:
    """Write the end of the container in *path*, remove its control group and, with *remove*, all of it.

    Called once, by its keeper, when no process of it is left.
    """
    group = find_group(path) if (path / "group.json").exists() else None
    memory = None
    if group is not None:
        usage = group.stats()
        memory = MemoryEnd(usage.oom_kills or 0, usage.memory_limit, usage.memory_peak)
    cause = describe_end(exit_code, memory=memory, reason=reason)
    if not remove or (path / "watch").exists():
        end = {"status": "exited", "ended_at": time.time(), "exit_code": exit_code, "cause": cause}
        if memory is not None:
            killed = bool(memory.kills) and exit_code == 128 + signal.SIGKILL and not reason
            end |= {"oom": killed, "memory_limit": memory.limit, "memory_peak": memory.peak}
        write_end(path, end)
    if remove:
        _let_watchers_read(path)
        return End(cause, hide_container(path, ended=True))
    if group is not None:
        group.remove()
        (path / "group.json").unlink(missing_ok=True)
    return End(cause)


def remove_rest(left: Path) -> None:
    """What takes its time and nobody waits for: the control group, and the files of the layer."""
    group = find_group(left)
    if group is not None:
        group.remove()
    remove_tree(left)


def _let_watchers_read(path: Path) -> None:
    """Wait until nobody holds ``watch`` shared; a while at most."""
    try:
        handle = os.open(path / "watch", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # nobody ever waited
    deadline = time.monotonic() + _WATCHED
    try:
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.005)
    finally:
        os.close(handle)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
