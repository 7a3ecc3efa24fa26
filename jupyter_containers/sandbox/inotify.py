"""Changes in a folder, told by the kernel as they happen (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Change", "Inotify"]

_EVENT = struct.Struct("iIII")
"""``struct inotify_event``: wd, mask, cookie, len; then the name, filled up with NULs."""
_MODIFY, _MOVED_TO, _CREATE, _MOVE_SELF = 0x2, 0x80, 0x100, 0x800
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLY_FOLDER, _NO_LINK = 0x01000000, 0x02000000
_WATCHED = _MODIFY | _MOVED_TO | _CREATE | _MOVE_SELF | _ONLY_FOLDER | _NO_LINK

_libc = ctypes.CDLL(None, use_errno=True)


class Change(NamedTuple):
    watch: int
    """-1: some have been lost."""
    name: str


class Inotify:
    """One queue for any number of folders. ``fd`` is readable when something has changed."""

    def __init__(self) -> None:
        self.fd = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, folder: str) -> int:
        """A number for *folder*, of which new names and writes to its files are told from now on."""
        return _checked(_libc.inotify_add_watch(self.fd, os.fsencode(folder), ctypes.c_uint32(_WATCHED)))

    def forget(self, watch: int) -> None:
        _libc.inotify_rm_watch(self.fd, watch)  # it is gone by itself when its folder is

    def read(self) -> Iterator[Change]:
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return
        place = 0
        while place < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, place)
            name = data[place + _EVENT.size :][:length].rstrip(b"\0")
            place += _EVENT.size + length
            if not mask & _IGNORED:
                yield Change(-1 if mask & _OVERFLOW else watch, os.fsdecode(name))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "inotify")
    return result
