"""Read a container's log (:mod:`.log`), also while it is written."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import InputError

__all__ = ["follow_log", "read_log", "read_log_page"]


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


def read_log_page(file: Path, position: str, *, most: int = 256 << 10) -> tuple[bytes, str]:
    """What was written after *position*, at most *most* bytes of it, and the position after that.

    A position is what an earlier call gave, or empty for the beginning of what is kept. It stays good when the log is
    rotated once; when it was rotated more often since, all that is kept follows. Characters of UTF-8 are not cut.
    :class:`InputError` for other words.
    """
    found = re.fullmatch(r"(\d{1,20})-(\d{1,15})-([0-9a-f]{1,8})|", position)
    if found is None:
        raise InputError(f"{position[:40]!r} is not a position in a log", hint="begin without one")
    files = [(path, _place(path)[1]) for path in (file.with_name(file.name + ".1"), file)]
    files = [(path, inode) for path, inode in files if inode is not None]
    inode, offset = (int(found[1]), int(found[2])) if found[1] else (0, 0)
    at = next((number for number, (_, known) in enumerate(files) if known == inode), None)
    # A new file may have got the number of one that is gone: what is before the position tells them apart.
    if at is None or _mark(files[at][0], offset) != found[3]:
        at, offset = 0, 0
    for path, known in files[at:]:
        data = _read(path, offset, most)
        data = data[: _whole(data)]
        offset += len(data)
        position = f"{known}-{offset}-{_mark(path, offset)}"
        if data:
            return data, position
        offset = 0
    return b"", position


def _mark(file: Path, offset: int) -> str:
    start = max(offset - 32, 0)
    return f"{zlib.crc32(_read(file, start, offset - start)):x}"


def _whole(data: bytes) -> int:
    """How much of *data* is whole characters (UTF-8); all of it where that is nothing, or where it is no UTF-8."""
    for back in range(1, min(4, len(data))):
        byte = data[-back]
        if byte >= 0xC0:  # the first byte of a character of 2, 3 or 4
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if back < wanted else len(data)
        if byte < 0x80:
            break
    return len(data)


def _rest(file: Path, position: int, inode: int) -> Iterator[bytes]:
    """The end of a file that was rotated away, unless it has been replaced in its turn."""
    if _place(file)[1] == inode and (data := _read(file, position)):
        yield data


def _read(file: Path, position: int = 0, most: int = -1) -> bytes:
    try:
        with file.open("rb") as stream:
            stream.seek(position)
            return stream.read(most)
    except FileNotFoundError:
        return b""


def _place(file: Path) -> tuple[int, int | None]:
    """Size and inode; (0, None) where there is no such file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0, None
    return status.st_size, status.st_ino
