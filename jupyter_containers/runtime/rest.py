"""The folders of a container at rest: its image's layers under its writable one, as overlayfs would show them.

Nothing is mounted then, so the host reads the layers and writes to the upper folder itself, which the kernel allows
while it is no part of a mount (Documentation/filesystems/overlayfs.rst, "Changes to underlying filesystems").
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Self

from ..image.whiteout import is_opaque, is_whiteout, set_opaque
from .places import FILE, FOLDER, NEW_FILE, check_regular

__all__ = ["RestPlace", "open_rest"]

_LOOK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_rest(layers: Sequence[Path], upper: Path, *, closed: Collection[str] = ()) -> RestPlace:
    """The root of *layers* (lowest first) under *upper*. *closed*: folders of the root in which nothing is made."""
    lower = tuple(os.open(layer, _LOOK) for layer in dict.fromkeys(reversed(layers)))
    return RestPlace(None, "", os.open(upper, FOLDER), lower, closed=frozenset(closed))


class RestPlace:
    """A merged folder; a :class:`.places.Place`."""

    def __init__(
        self,
        parent: RestPlace | None,
        name: str,
        upper: int | None,
        lower: tuple[int, ...],
        *,
        closed: frozenset[str] = frozenset(),
        read_only: bool = False,
    ) -> None:
        """*upper*: its part in the writable layer, where there is one; *lower*: the layers', topmost first. The
        descriptors are the place's to close; *parent* has to stay open as long as it is written to."""
        self._parent, self._name, self._upper, self._lower = parent, name, upper, lower
        self._closed, self._read_only = closed, read_only

    def status(self, name: str) -> os.stat_result | None:
        return self._find(name)[0]

    def names(self) -> list[str]:
        decided: dict[str, bool] = {}
        for part in self._parts():
            for name in _list(part):
                if name not in decided:
                    decided[name] = not is_whiteout(os.stat(name, dir_fd=part, follow_symlinks=False))
        return sorted(name for name, present in decided.items() if present)

    def enter(self, name: str) -> RestPlace:
        status, _ = self._find(name)
        if status is None or not stat.S_ISDIR(status.st_mode):
            number = errno.ENOENT if status is None else errno.ENOTDIR
            raise OSError(number, os.strerror(number), name)
        upper: int | None = None
        lower: list[int] = []
        for part in self._parts():
            try:
                found = os.stat(name, dir_fd=part, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(found.st_mode):
                break
            handle = os.open(name, _LOOK, dir_fd=part)
            if part == self._upper:
                upper = handle
            else:
                lower.append(handle)
            if is_opaque(handle):
                break
        read_only = self._read_only or name in self._closed
        return RestPlace(self, name, upper, tuple(lower), read_only=read_only)

    def open(self, name: str) -> int:
        _, part = self._find(name)
        return check_regular(os.open(name, FILE, dir_fd=part))

    def link_text(self, name: str) -> str:
        return os.readlink(name, dir_fd=self._find(name)[1])

    def make_folder(self, name: str) -> None:
        upper = self._own_part()
        was_removed = self._clear(name, upper)
        os.mkdir(name, 0o700, dir_fd=upper)
        if was_removed:
            handle = os.open(name, _LOOK, dir_fd=upper)
            try:
                set_opaque(handle)
            finally:
                os.close(handle)

    def make_file(self, name: str) -> int:
        upper = self._own_part()
        self._clear(name, upper)
        return os.open(name, NEW_FILE, 0o600, dir_fd=upper)

    def make_link(self, name: str, text: str) -> None:
        upper = self._own_part()
        self._clear(name, upper)
        os.symlink(text, name, dir_fd=upper)

    def settle(self, name: str, *, mode: int | None, mtime_ns: int) -> None:
        upper = self._own_part()
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=upper, follow_symlinks=False)
        if mode is not None:
            os.chmod(name, mode, dir_fd=upper)  # what was just made, and nobody else is at work here

    def close(self) -> None:
        for part in self._parts():
            os.close(part)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _parts(self) -> tuple[int, ...]:
        return self._lower if self._upper is None else (self._upper, *self._lower)

    def _find(self, name: str) -> tuple[os.stat_result | None, int]:
        for part in self._parts():
            try:
                status = os.stat(name, dir_fd=part, follow_symlinks=False)
            except FileNotFoundError:
                continue
            return (None if is_whiteout(status) else status), part
        return None, -1

    def _own_part(self) -> int:
        """The part in the writable layer, made where missing: with the mode and time that the layers' has."""
        if self._read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), self._name)
        if self._upper is None:
            assert self._parent is not None
            above = self._parent._own_part()
            status = os.fstat(self._lower[0])
            os.mkdir(self._name, 0o700, dir_fd=above)
            os.chmod(self._name, stat.S_IMODE(status.st_mode), dir_fd=above)
            os.utime(self._name, ns=(status.st_mtime_ns, status.st_mtime_ns), dir_fd=above)
            self._upper = os.open(self._name, _LOOK, dir_fd=above)
        return self._upper

    @staticmethod
    def _clear(name: str, upper: int) -> bool:
        """Take away the file, link or whiteout of that name. Whether it was a whiteout."""
        try:
            status = os.stat(name, dir_fd=upper, follow_symlinks=False)
        except FileNotFoundError:
            return False
        os.unlink(name, dir_fd=upper)
        return is_whiteout(status)


def _list(handle: int) -> list[str]:
    """What a folder that was opened to look only holds."""
    opened = os.open(".", FOLDER, dir_fd=handle)
    try:
        return os.listdir(opened)
    finally:
        os.close(opened)
