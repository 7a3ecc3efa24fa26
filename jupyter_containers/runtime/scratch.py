"""A container's scratch folders are for its sockets: one that fills them is ended.

They lie in the runtime folder, in memory most often, where no control group of an unlimited container bounds them, and
no quota. A kernel makes its sockets there and is done, so watching costs nothing: any other change is told by the
kernel of the host (inotify), and looked at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from ..sandbox.inotify import Inotify

__all__ = ["ScratchWatch"]

LARGEST = 1 << 20
"""Bytes of all files of a folder. A connection file has some hundred."""
_MOST_ENTRIES = 64
_MOST_CHANGES = 1000
"""Each is looked at: more is no kernel at work, but one that keeps its server at work."""
_MOST_ABSENT = 10
"""Changes of files that are not there any more: sockets that are made anew, files written aside and renamed."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class ScratchWatch:
    """The scratch folders of all containers of one process. For one thread: the keeper's."""

    def __init__(self) -> None:
        self._inotify = Inotify()
        self._watched: dict[int, _Folder] = {}

    @property
    def fd(self) -> int:
        """Readable when :meth:`look` has something to do."""
        return self._inotify.fd

    def add(self, folder: str, end: Callable[[str], None]) -> None:
        """Call *end* with the reason, once, when *folder* holds what it should not. Raises OSError."""
        watch = self._inotify.watch(folder)
        self._watched[watch] = found = _Folder(folder, end)
        self._judge(watch, found, "")

    def remove(self, folder: str) -> None:
        """Watch *folder* no more."""
        for watch in [watch for watch, found in self._watched.items() if found.path == folder]:
            self._drop(watch)

    def look(self) -> None:
        """What has changed since the last time."""
        for watch, name in self._inotify.read():
            lost = watch < 0
            for each, found in list(self._watched.items()) if lost else [(watch, self._watched.get(watch))]:
                if found is not None:
                    found.changes += 1
                    self._judge(each, found, "" if lost else name)

    def _judge(self, watch: int, found: _Folder, name: str) -> None:
        reason = found.wrong(name)
        if reason is None:
            self._drop(watch)
        elif reason:
            self._drop(watch)
            found.end(reason)

    def _drop(self, watch: int) -> None:
        self._inotify.forget(watch)
        self._watched.pop(watch, None)


class _Folder:
    def __init__(self, path: str, end: Callable[[str], None]) -> None:
        self.path, self.end = path, end
        self.changes = self.absent = 0

    def wrong(self, name: str) -> str | None:
        """Why the container has to go after a change of the file *name*; empty: no reason; None: the folder is gone."""
        try:
            handle = os.open(self.path, _FOLDER)
        except OSError:
            return None
        try:
            return self._wrong(handle, name)
        finally:
            os.close(handle)

    def _wrong(self, handle: int, name: str) -> str:
        if self.changes > _MOST_CHANGES:
            return f"it wrote to its connection folder more than {_MOST_CHANGES} times"
        names = os.listdir(handle)
        if len(names) > _MOST_ENTRIES:
            return f"it has made {len(names)} files in its connection folder"
        if name and name not in names:
            self.absent += 1
            if self.absent > _MOST_ABSENT:
                return "it writes to files in its connection folder that it has removed"
        total = 0
        for each in names:
            try:
                status = os.stat(each, dir_fd=handle, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                return "it has made a folder in its connection folder"
            total += max(status.st_size, status.st_blocks * 512)
        return f"it has put {total} bytes into its connection folder" if total > LARGEST else ""
