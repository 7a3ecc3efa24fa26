"""What a writable layer changes in the layers below it, as ``docker diff`` tells it.

Format of an upper folder: Documentation/filesystems/overlayfs.rst of Linux (whiteouts, opaque folders), mounted
with ``userxattr``. The upper folder is what a container wrote, maybe writes still: it is walked by descriptors, no
link is followed, and what vanishes meanwhile is passed over.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import StoreError
from .targets import is_opaque, is_whiteout

__all__ = ["ALWAYS_MOUNTED", "Difference", "Kind", "changes", "differences"]

Kind = Literal["A", "C", "D"]
"""Added, changed, deleted: the letters of ``docker diff``."""

ALWAYS_MOUNTED = ("/dev", "/proc", "/run", "/sys")
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST = 400
"""Folders in folders: each holds a descriptor while it is walked."""


class Difference(NamedTuple):
    """One place where the writable layer has a say."""

    kind: Kind | Literal["="]
    """``=``: a folder that is as before, but is needed, for the folder that it is in hides the layers."""
    path: str
    """From the root on."""
    folder: int = -1
    """The upper folder that has it, open until the next difference is asked for; -1: lost with a replaced folder."""
    name: str = ""
    status: os.stat_result | None = None
    """In the upper folder; None where it has nothing but a whiteout, or is lost."""
    below: tuple[str, os.stat_result] | None = None
    """What the layers have there: where it lies, and its status."""
    opaque: bool = False
    """A folder that hides what the layers have in it."""
    hidden: bool = False
    """In such a folder, at whatever depth."""


class _Level:
    """A folder that is being walked."""

    def __init__(self, fd: int, path: str, parts: Sequence[str], *, restore: int | None = None) -> None:
        self.fd, self.path, self.parts, self._restore = fd, path, parts, restore
        self.names = iter(sorted(os.listdir(fd)))
        self.own: Difference | None = None
        """The folder itself, as long as nothing in it has made it worth telling."""
        self.hidden = False

    def close(self) -> None:
        if self._restore is not None:
            os.fchmod(self.fd, self._restore)
        os.close(self.fd)


def changes(layers: Sequence[Path], upper: Path, *, mounts: Collection[str] = ()) -> list[tuple[Kind, str]]:
    """How *upper* differs from *layers* (lowest first), sorted by path. *mounts* as of :func:`differences`."""
    found = [(each.kind, each.path) for each in differences(layers, upper, mounts=mounts)]
    return sorted(((kind, path) for kind, path in found if kind != "="), key=lambda change: change[1])


def differences(layers: Sequence[Path], upper: Path, *, mounts: Collection[str] = ()) -> Iterator[Difference]:
    """Each difference of *upper* to *layers* (lowest first), folders before what they hold.

    *mounts* are the sandbox's mount targets: the empty files and folders that bwrap made for them are left out, and
    so are folders that hold nothing else. Raises :class:`StoreError` for folders that are nested too deep.
    """
    mounted = frozenset(path.strip("/") for path in (*mounts, *ALWAYS_MOUNTED))
    parts = [str(layer) for layer in dict.fromkeys(reversed(layers))]
    levels = [_Level(os.open(upper, _OPEN), "", parts)]
    try:
        while levels:
            level = levels[-1]
            name = next(level.names, None)
            if name is None:
                left = levels.pop()
                left.close()
                if left.own is not None and left.own.kind == "=":
                    yield from _told(levels, left.own)
                continue
            try:
                yield from _compare(levels, level, name, mounted)
            except FileNotFoundError:
                continue
    finally:
        for level in levels:
            level.close()


def _compare(levels: list[_Level], level: _Level, name: str, mounted: frozenset[str]) -> Iterator[Difference]:
    path = f"{level.path}/{name}"
    status = os.stat(name, dir_fd=level.fd, follow_symlinks=False)
    below, parts = _look_below(level.parts, name)
    difference = Difference("A", path, level.fd, name, status, below, hidden=level.hidden)
    if is_whiteout(status):
        if below is not None:
            yield from _told(levels, difference._replace(kind="D", status=None))
        return
    if path[1:] in mounted:
        return
    if not stat.S_ISDIR(status.st_mode):
        yield from _told(levels, difference if below is None else difference._replace(kind="C"))
        return
    inner = _enter(level, path, name, parts)
    levels.append(inner)
    opaque = is_opaque(f"/proc/self/fd/{inner.fd}", follow=True)
    inner.hidden = level.hidden or opaque
    inner.own, worth = _folder(difference._replace(opaque=opaque and bool(parts)), mounted)
    if worth:
        yield from _told(levels, None)
    if opaque and parts:
        present = set(os.listdir(inner.fd))
        for lost in sorted(_names_below(parts) - present):
            yield from _told(levels, Difference("D", f"{path}/{lost}"))


def _folder(difference: Difference, mounted: frozenset[str]) -> tuple[Difference, bool]:
    """How a folder is told, and whether it is by itself, or only once something in it is."""
    assert difference.status is not None
    if difference.below is None:
        return difference, not any(each.startswith(f"{difference.path[1:]}/") for each in mounted)
    before = difference.below[1].st_mode
    changed = not stat.S_ISDIR(before) or stat.S_IMODE(before) != stat.S_IMODE(difference.status.st_mode)
    if difference.hidden and not changed and not difference.opaque:
        return difference._replace(kind="="), False
    return difference._replace(kind="C"), changed or difference.opaque


def _told(levels: list[_Level], difference: Difference | None) -> Iterator[Difference]:
    """*difference*, after the folders on its way that were not told yet."""
    for level in levels:
        if level.own is not None:
            # Something in it has changed, and so has it.
            changed = level.own.kind == "=" and difference is not None and difference.kind != "="
            own = level.own._replace(kind="C") if changed else level.own
            level.own = None
            yield own
    if difference is not None:
        yield difference


def _look_below(parts: Sequence[str], name: str) -> tuple[tuple[str, os.stat_result] | None, list[str]]:
    """What the layers' folders *parts*, topmost first, have as *name*, and its parts where that is a folder."""
    found: tuple[str, os.stat_result] | None = None
    folders: list[str] = []
    for part in parts:
        place = f"{part}/{name}"
        try:
            status = os.lstat(place)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                continue
            raise
        if is_whiteout(status):
            break
        found = found or (place, status)
        if not stat.S_ISDIR(status.st_mode):
            break
        folders.append(place)
        if is_opaque(place):
            break
    return found, folders


def _names_below(parts: Sequence[str]) -> set[str]:
    """What the layers' folders *parts* show together."""
    decided: dict[str, bool] = {}
    for part in parts:
        with os.scandir(part) as entries:
            for entry in entries:
                if entry.name not in decided:
                    decided[entry.name] = not is_whiteout(entry.stat(follow_symlinks=False))
    return {name for name, present in decided.items() if present}


def _enter(level: _Level, path: str, name: str, parts: list[str]) -> _Level:
    if path.count("/") > _DEEPEST:
        raise StoreError(
            f"{path[:80]}…: folders are nested more than {_DEEPEST} deep",
            hint="remove them in the container",
        )
    handle = os.open(name, _LOOK, dir_fd=level.fd)
    restore: int | None = None
    try:
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
        if mode & 0o500 != 0o500 and os.geteuid() != 0:
            os.chmod(f"/proc/self/fd/{handle}", mode | 0o500)  # noqa: PTH101  by descriptor; put back at the end
            restore = mode
        fd = os.open(".", _OPEN, dir_fd=handle)
    finally:
        os.close(handle)
    try:
        return _Level(fd, path, parts, restore=restore)
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(fd)
        raise
