"""Writable layers on disk: made and removed; :mod:`.difference` compares them with what lies below."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["make_writable", "remove_tree"]

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
