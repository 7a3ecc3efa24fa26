"""Which process is meant, for good: a pid is used again, a pid with its start time is not (proc(5), stat field 22).

Standard library only: the monitor and the reaper stay small.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "ZOMBIE",
    "is_alive",
    "kill_process",
    "kill_processes",
    "open_process",
    "read_proc",
    "read_scope",
    "read_start_time",
    "read_stat",
    "state_locked",
]

ZOMBIE = (b"Z", b"X")
"""States of a process of which nothing is left but its exit code."""


def read_start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of *pid*; None when it is gone or only a zombie is left of it."""
    try:
        fields = read_stat(pid)
    except OSError:
        return None
    return None if fields[0] in ZOMBIE else int(fields[19])


def read_stat(pid: int) -> list[bytes]:
    """What the kernel tells of *pid* (proc_pid_stat(5)), from field 3, its state, on; :class:`OSError`."""
    text = read_proc(pid, "stat")
    # The command in field 2 is in parentheses and may itself hold spaces and parentheses.
    return text[text.rindex(b")") + 2 :].split()


def read_proc(pid: int, name: str) -> bytes:
    """A short file of ``/proc/PID``; :class:`OSError`. By plain system calls: who lists a thousand containers reads
    thousands."""
    handle = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, 4096)
    finally:
        os.close(handle)


def is_alive(pid: int, start: int) -> bool:
    """Whether the process *pid* that started at *start* runs."""
    return pid > 0 and read_start_time(pid) == start


def open_process(pid: int, start: int) -> int | None:
    """A descriptor of that very process, readable once it has ended; None: it has."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if is_alive(pid, start):  # looked at after the open: the descriptor can't change its mind any more
        return handle
    os.close(handle)
    return None


def read_scope() -> str:
    """Where pids have this meaning: boot id and pid namespace.

    A home may lie on a disk that several hosts or containers share; a pid of another scope says nothing here.
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116  the link's target, not a path


def kill_process(pid: int, start: int, *, timeout: float = 5.0) -> bool:
    """SIGKILL that very process and wait until it is gone; True when it is."""
    handle = open_process(pid, start)
    if handle is None:
        return True
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        return _await_end(handle, timeout)
    finally:
        os.close(handle)


def kill_processes(processes: Iterable[tuple[int, int]], *, timeout: float = 5.0) -> None:
    """SIGKILL to those very processes, given by pid and start time; returns when all are gone, or after *timeout*.

    First to all: their ends go on side by side.
    """
    told = []
    for pid, start in processes:
        handle = open_process(pid, start) if pid > 0 else None
        if handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)  # there may be more of them than this process may have descriptors
            told.append((pid, start))
    deadline = time.monotonic() + timeout
    for pid, start in told:
        handle = open_process(pid, start)
        if handle is not None:
            try:
                _await_end(handle, max(0.0, deadline - time.monotonic()))
            finally:
                os.close(handle)


def _await_end(handle: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


@contextmanager
def state_locked(folder: Path) -> Iterator[None]:
    """Nobody else changes ``state.json`` in a container's *folder*: its keeper writes the end, others that it is
    paused. :class:`FileNotFoundError` where it has been removed."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
