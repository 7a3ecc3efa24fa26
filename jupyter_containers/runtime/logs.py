"""Read a container's log (:mod:`.log`), also while it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["follow_log", "read_log"]


def read_log(file: Path, *, tail: int | None = None, size: int | None = None) -> bytes:
    """What is kept of a log, or its last *tail* lines; empty where nothing was written. *size*: of *file* itself, look
    at so many bytes only."""
    data = _read(file.with_name(file.name + ".1")) + _read(file)[:size]
    if tail is None:
        return data
    lines = data.splitlines(keepends=True)
    return b"".join(lines[max(len(lines) - tail, 0) :])


def follow_log(
    file: Path, *, tail: int | None = None, ended: Callable[[], bool], interval: float = 0.1
) -> Iterator[bytes]:
    """The log as of :func:`read_log`, then what is added, until *ended* and all is read. Sleeps in between.

    A file that is rotated away is read to its end first.
    """
    position, inode = _place(file)
    start = read_log(file, tail=tail, size=position)  # what is written meanwhile is left to the first round
    if start:
        yield start
    while True:
        over = ended()  # asked before the last read: what came before the end is not lost
        current, size = _place(file)[1], _place(file)[0]
        if current != inode and inode is not None:
            yield from _rest(file.with_name(file.name + ".1"), position, inode)
            position = 0
        inode = current
        if inode is not None and size > position:
            data = _read(file, position)
            position += len(data)
            yield data
        if over:
            return
        time.sleep(interval)


def _rest(file: Path, position: int, inode: int) -> Iterator[bytes]:
    """The end of a file that was rotated away, unless it has been replaced in its turn."""
    if _place(file)[1] == inode and (data := _read(file, position)):
        yield data


def _read(file: Path, position: int = 0) -> bytes:
    try:
        with file.open("rb") as stream:
            stream.seek(position)
            return stream.read()
    except FileNotFoundError:
        return b""


def _place(file: Path) -> tuple[int, int | None]:
    """Size and inode; (0, None) where there is no such file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0, None
    return status.st_size, status.st_ino
