"""Who a container belongs to that outlives its owner for a while: ``owner`` in its folder, the pid and start time.

Its monitor waits for that process's end, then for ``config.outlive`` seconds; where no other process has taken it over
by then (:func:`take`) it is ended. Standard library only: the monitor stays small.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from .identity import is_alive, open_process, read_start_time

__all__ = ["OwnerWatch", "is_ahead", "mark_ahead", "open_owner", "read_owner", "take", "unmark_ahead"]

_AHEAD = "ahead"
"""A file in the folder of a container that was started before anybody needs it: it is not to outlive its owner."""


def take(folder: Path) -> bool:
    """Become the owner, where the one before has ended; False: it has not. :class:`FileNotFoundError` for a container
    that is gone."""
    handle = os.open(folder / "owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two servers that start at once
        pid, start = _parse(os.pread(handle, 100, 0))
        if pid != os.getpid() and is_alive(pid, start):
            return False
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {read_start_time(os.getpid()) or 0}".encode(), 0)
        return True
    finally:
        os.close(handle)


def mark_ahead(folder: Path) -> None:
    (folder / _AHEAD).touch(mode=0o600)


def is_ahead(folder: Path) -> bool:
    return (folder / _AHEAD).exists()


def unmark_ahead(folder: Path) -> None:
    (folder / _AHEAD).unlink(missing_ok=True)


def read_owner(folder: Path) -> tuple[int, int]:
    """Its pid and start time; zeros: there is none."""
    try:
        return _parse((folder / "owner").read_bytes())
    except OSError:
        return 0, 0


def open_owner(folder: Path) -> int | None:
    """A descriptor that is readable once the owner has ended; None: it has."""
    pid, start = read_owner(folder)
    return open_process(pid, start) if is_alive(pid, start) else None


class OwnerWatch:
    """Whether a container has been without an owner for too long. Nothing is polled for: it waits for the owner's end,
    and looks again when the time is over."""

    def __init__(self, folder: Path, seconds: int) -> None:
        self.seconds = seconds
        self.handle = open_owner(folder)
        """Readable once the owner has ended; None: there is none now."""
        self._folder = folder
        self._end = time.monotonic() + self._patience() if self.handle is None else None

    def owner_ended(self) -> None:
        assert self.handle is not None
        os.close(self.handle)
        self.handle, self._end = None, time.monotonic() + self._patience()

    def _patience(self) -> int:
        """Seconds that another may take to come; none comes for what nobody has needed yet, also where the owner ended
        while it was being started."""
        return 0 if is_ahead(self._folder) else self.seconds

    def due(self) -> float | None:
        """Seconds until the time is over; None: it has an owner."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def passed(self) -> bool:
        """Whether it is over, and nobody has come."""
        if self._end is None or time.monotonic() < self._end:
            return False
        self.handle = open_owner(self._folder)
        self._end = time.monotonic() + self._patience() if self.handle is None else None
        return self.handle is None

    def is_alone(self) -> bool:
        """Whether it has no owner at this moment; one that came since the last look counts."""
        handle = open_owner(self._folder)
        if handle is not None:
            os.close(handle)
        return handle is None

    def told(self) -> str:
        """Why a container was ended."""
        from ..spec.durations import format_duration  # late: needed once, at the end

        return f"its server ended, and none took it over within {format_duration(self.seconds)}"


def _parse(text: bytes) -> tuple[int, int]:
    words = text.split()
    return (int(words[0]), int(words[1])) if len(words) == 2 and all(map(bytes.isdigit, words)) else (0, 0)
