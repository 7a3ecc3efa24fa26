"""Writable layers on disk: made, compared with what lies below, and removed.

Format of an upper folder: Documentation/filesystems/overlayfs.rst of Linux (whiteouts, opaque folders), mounted
with ``userxattr``.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal

from .targets import find, is_opaque, is_whiteout

__all__ = ["Kind", "changes", "make_writable", "remove_tree"]

Kind = Literal["A", "C", "D"]
"""Added, changed, deleted: the letters of ``docker diff``."""

_DEEPEST = 64
"""Folders below this depth are moved to the top before they are emptied: whoever made the tree may have nested
folders past any number of open descriptors."""


def make_writable(folder: Path) -> tuple[Path, Path]:
    """Make *folder*'s ``upper`` and ``work`` and return them; upper's mode becomes that of ``/``."""
    upper, work = folder / "upper", folder / "work"
    for path, mode in ((upper, 0o755), (work, 0o700)):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
    return upper, work


def changes(layers: Sequence[Path], upper: Path, *, mounts: Collection[str] = ()) -> list[tuple[Kind, str]]:
    """How *upper* differs from *layers* (lowest first), sorted by path, as ``docker diff`` tells it.

    *mounts* are the sandbox's mount targets: the empty files and folders that bwrap made for them are left out, and
    so are folders that hold nothing else.
    """
    roots = list(reversed(layers))
    result = _compare(roots, upper, "", frozenset(path.strip("/") for path in (*mounts, *_ALWAYS)))
    return sorted(result, key=lambda change: change[1])


_ALWAYS = ("/dev", "/proc", "/run", "/sys")


def _compare(roots: Sequence[Path], upper: Path, inside: str, mounts: frozenset[str]) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    seen: set[str] = set()
    for entry in os.scandir(upper / inside):
        path = f"{inside}/{entry.name}".lstrip("/")
        seen.add(entry.name)
        status = entry.stat(follow_symlinks=False)
        below = find(roots, path)
        if is_whiteout(status):
            if below is not None:
                found.append(("D", f"/{path}"))
            continue
        if not stat.S_ISDIR(status.st_mode):
            if path not in mounts:
                found.append(("A" if below is None else "C", f"/{path}"))
            continue
        inner = [] if path in mounts else _compare(_below(roots, upper / path, below), upper, path, mounts)
        if below is None:
            if inner or not _only_mounts(path, mounts):
                found.append(("A", f"/{path}"))
        elif (
            inner
            or not stat.S_ISDIR(below[1].st_mode)
            or stat.S_IMODE(status.st_mode) != stat.S_IMODE(below[1].st_mode)
        ):
            found.append(("C", f"/{path}"))
        if below is not None and is_opaque(upper / path):
            inner += _lost(roots, path, upper / path)
        found += inner
    return found


def _below(roots: Sequence[Path], folder: Path, below: tuple[str, os.stat_result] | None) -> Sequence[Path]:
    """The layers that still shine through *folder*."""
    if below is None or not stat.S_ISDIR(below[1].st_mode):
        return ()
    return roots


def _only_mounts(path: str, mounts: frozenset[str]) -> bool:
    """Whether bwrap made this folder: it is a mount point or leads to one."""
    return path in mounts or any(each.startswith(f"{path}/") for each in mounts)


def _lost(roots: Sequence[Path], path: str, folder: Path) -> Iterator[tuple[Kind, str]]:
    """What the layers have in a folder that was removed and made again."""
    names = {name for root in roots if (root / path).is_dir() for name in os.listdir(root / path)}
    for name in sorted(names - set(os.listdir(folder))):
        if find(roots, f"{path}/{name}") is not None:
            yield "D", f"/{path}/{name}"


def remove_tree(path: Path) -> None:
    """Remove a tree and all in it; nothing happens when it is gone.

    Closed folders (``work/work`` has mode 0) are opened first, links are not followed, other file systems' folders
    are as empty as any. Raises OSError with the path that could not be removed.
    """
    try:
        top = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        path.unlink(missing_ok=True)
        return
    os.close(top)
    with _opened(path.name, path.parent) as top:
        _empty(top, top, 0)
        while rest := os.listdir(top):  # what was moved up
            for name in rest:
                _remove(top, top, name, 0)
    path.rmdir()


@contextlib.contextmanager
def _opened(name: str, parent: Path | int) -> Iterator[int]:
    """A descriptor of a folder that may be closed even to its owner."""
    at = parent if isinstance(parent, int) else os.open(parent, os.O_PATH | os.O_DIRECTORY)
    try:
        status = os.stat(name, dir_fd=at, follow_symlinks=False)
        if stat.S_IMODE(status.st_mode) & 0o700 != 0o700:
            os.chmod(name, 0o700, dir_fd=at)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
    finally:
        if at is not parent:
            os.close(at)
    try:
        yield fd
    finally:
        os.close(fd)


def _empty(top: int, folder: int, depth: int) -> None:
    for name in os.listdir(folder):
        _remove(top, folder, name, depth)


def _remove(top: int, folder: int, name: str, depth: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
        return
    except IsADirectoryError:
        pass
    if depth >= _DEEPEST:
        os.chmod(name, 0o700, dir_fd=folder)
        os.rename(name, os.urandom(12).hex(), src_dir_fd=folder, dst_dir_fd=top)
        return
    with _opened(name, folder) as fd:
        _empty(top, fd, depth + 1)
    os.rmdir(name, dir_fd=folder)
