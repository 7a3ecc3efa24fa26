"""Removing trees, whatever is in them, without following a link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

__all__ = ["remove_tree"]

_TIMES = 100
"""Others that remove the same tree move folders into it; nobody does so for ever."""

_LEVELS = 16
"""So deep are folders removed where they are: fewer system calls, of which the end of many containers has many."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path) -> None:
    """Remove the file or folder *path*; no error where there is none, or where others remove it at the same time.

    Folders with any mode (an overlay's ``work/work`` has 0) and of any depth: what lies deeper than some levels is
    moved up to *path* before it is removed, so neither the stack, nor the open descriptors, nor a path's length grow.
    Killed half-way, it leaves a smaller tree, and can be called again.
    """
    # A name that nothing in the tree can have been given on purpose.
    names = (f".removed-{token}-{number}" for token in (os.urandom(8).hex(),) for number in count())
    with suppress(FileNotFoundError):
        for left in reversed(range(_TIMES)):
            if not stat.S_ISDIR(path.lstat().st_mode):
                path.unlink()
                return
            _empty_tree(path, names)
            try:
                path.rmdir()
                return
            except OSError as error:
                if error.errno != errno.ENOTEMPTY or not left:
                    raise


def _empty_tree(path: Path, names: Iterator[str]) -> None:
    top = _open_folder(str(path), None)
    try:
        waiting = _empty(top, top, names, _LEVELS)
        while waiting:
            name = waiting.pop()
            with suppress(FileNotFoundError):
                folder = _open_folder(name, top)
                try:
                    waiting += _empty(folder, top, names, _LEVELS)
                finally:
                    os.close(folder)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _empty(folder: int, top: int, names: Iterator[str], levels: int) -> list[str]:
    """Remove what *folder* holds, but what lies deeper than *levels*: that is moved into *top*; the names there."""
    moved = []
    with os.scandir(folder) as entries:
        listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in listed:
        with suppress(FileNotFoundError):
            if not is_folder:
                os.unlink(name, dir_fd=folder)
                continue
            # Renaming a folder writes its "..": that needs write permission on itself, as emptying it does.
            inner = _open_folder(name, folder)
            try:
                if not levels:
                    target = next(names)
                    os.rename(name, target, src_dir_fd=folder, dst_dir_fd=top)
                    moved.append(target)
                    continue
                moved += _empty(inner, top, names, levels - 1)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)
    return moved


def _open_folder(name: str, parent: int | None) -> int:
    """Open a folder and give its owner all rights on it."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except PermissionError:
        # One of mode 0 can't be opened to be changed; its O_PATH descriptor names it without a race.
        handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101  by descriptor
            return os.open(".", _FOLDER, dir_fd=handle)
        finally:
            os.close(handle)
    try:
        if stat.S_IMODE(os.fstat(folder).st_mode) & 0o700 != 0o700:
            os.fchmod(folder, 0o700)
    except BaseException:
        os.close(folder)
        raise
    return folder
