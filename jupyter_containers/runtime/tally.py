"""What the processes of containers use, added up: for those whose control group does not count it, or who have none.

The files of /proc are read as they are (proc_pid_stat(5), proc_pid_io(5), proc_pid_smaps(5)): of a thousand containers
they are thousands at each look.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import NamedTuple

from .identity import ZOMBIE, read_proc, read_stat
from .processes import Look, is_first

__all__ = ["Sum", "Tally"]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STALE = 20.0
"""Seconds after which a proportional share counts as changed by others, who share the same pages. The kernel walks over
all of a process's pages for it: a millisecond and more, so it is not asked again while the process has as many."""


class Sum(NamedTuple):
    cpu_seconds: float = 0.0
    memory: int = 0
    threads: int = 0
    read_bytes: int = 0
    write_bytes: int = 0


class _Share(NamedTuple):
    start: bytes
    pages: bytes
    size: int
    at: float


class Tally:
    """One look at the processes of the host serves all containers until :meth:`renew`. Not for two threads at once."""

    def __init__(self) -> None:
        self._look = Look()
        self._first: dict[int, bytes] = {}
        """Those that were found to be the first process of a container, and when they started."""
        self._shares: dict[int, _Share] = {}
        self._before: dict[int, _Share] = {}

    def renew(self) -> None:
        self._look = Look()
        self._before, self._shares = self._shares, {}

    def sum(self, first: int) -> Sum | None:
        """Of the container whose pid 1 is *first*; None: it has ended. Memory is the proportional share (PSS), so that
        what processes share is counted once. Children that have ended count as they do in a control group."""
        own = self._find(first)
        if own is None:
            return None
        ticks = memory = threads = read = written = 0
        for pid in self._look.inside(first):
            with suppress(OSError):  # it has ended
                fields = own if pid == first else read_stat(pid)
                ticks += sum(map(int, fields[11:15]))  # utime stime cutime cstime
                threads += int(fields[17])
                memory += self._memory(pid, fields[19], fields[21])
                taken, given = _blocks(pid)
                read += taken
                written += given
        return Sum(ticks / _TICKS, memory, threads, read, written)

    def blocks(self, first: int) -> tuple[int, int]:
        """Bytes that the container has read from block devices, and written."""
        read = written = 0
        if self._find(first) is not None:
            for pid in self._look.inside(first):
                with suppress(OSError):
                    taken, given = _blocks(pid)
                    read += taken
                    written += given
        return read, written

    def _find(self, first: int) -> list[bytes] | None:
        """What /proc tells of *first*; None: it is not the process that it was, for its number may be another's."""
        try:
            fields = read_stat(first)
        except OSError:
            fields = []
        if not fields or fields[0] in ZOMBIE:
            self._first.pop(first, None)
            return None
        if self._first.get(first) != fields[19]:
            if not is_first(first):
                return None
            self._first[first] = fields[19]
        return fields

    def _memory(self, pid: int, start: bytes, pages: bytes) -> int:
        now, known = time.monotonic(), self._before.get(pid)
        # Not all at the same look.
        if known is None or (known.start, known.pages) != (start, pages) or now - known.at > _STALE + pid % 16:
            known = _Share(start, pages, _proportional(pid, int(pages) * _PAGE), now)
        self._shares[pid] = known
        return known.size


def _blocks(pid: int) -> tuple[int, int]:
    try:
        lines = dict(line.split(b": ") for line in read_proc(pid, "io").splitlines())
    except PermissionError:
        return 0, 0
    return int(lines[b"read_bytes"]), int(lines[b"write_bytes"])


def _proportional(pid: int, resident: int) -> int:
    """In bytes; all that is *resident* where the kernel tells no more."""
    with suppress(PermissionError, FileNotFoundError):  # another's; a kernel without it
        for line in read_proc(pid, "smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) << 10
    return resident
