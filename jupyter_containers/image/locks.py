"""Locks that the kernel releases when their holder dies, in whatever way: flock(2) on files and folders.

A flock belongs to an open file description, so two threads of one process exclude each other as two processes do,
and a child that inherits the descriptor keeps the lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["exclusive_file", "hold", "try_lock"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.2


def try_lock(handle: int, *, shared: bool = False) -> bool:
    """Lock an open file or folder without waiting; False where another has it."""
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def hold(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of the file *path*, which is made where missing and stays; waits as long as it takes."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def exclusive_file(path: Path, *, waiting: Callable[[int], None] | None = None) -> Iterator[None]:
    """Hold the lock file *path* alone; the file holds the owner's process id, and goes when the lock does.

    While another has it, *waiting* is called every 0.2 seconds or sooner with that process's id (0: not known);
    it may raise to give up.
    """
    handle = _acquire(path, waiting)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        # Unlinked while it is held: whoever opened it in between finds in _acquire that it has no name any more.
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path, waiting: Callable[[int], None] | None) -> int:
    pause = _FIRST_PAUSE
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not try_lock(handle):
                if waiting is not None:
                    waiting(_owner(handle))
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            if _is_named(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _owner(handle: int) -> int:
    text = os.pread(handle, 20, 0)
    return int(text) if text.isdigit() else 0


def _is_named(handle: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(handle)
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
