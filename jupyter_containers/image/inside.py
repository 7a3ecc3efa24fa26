"""Looking into an image from the host: one file of a stack of layers, found as the container would find it.

Rule of defence 4: within the image's root, following its links only inside of it, never waiting (a FIFO opened
without ``O_NONBLOCK`` would), regular files alone, and not more bytes than are asked for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from ..errors import NotFoundError, UntrustedContentError
from .whiteout import is_opaque, is_whiteout

__all__ = [
    "exists_in_root", "mode_in_root", "open_in_root", "read_bytes_in_root", "read_text_in_root", "resolve_in_root",
]  # fmt: skip

_LINKS = 40
"""Symbolic links followed, as by the kernel (path_resolution(7))."""
_STEPS = 512
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_Folder = tuple[int, ...]
"""A merged folder: its open parts, the uppermost layer's first."""


@contextmanager
def open_in_root(layers: Sequence[Path], path: str) -> Iterator[int]:
    """The regular file *path* of the root made of *layers* (lowest first), open for reading.

    Raises :class:`NotFoundError`, and :class:`UntrustedContentError` for link loops and what is no regular file.
    """
    with _Look(layers, path) as look:
        folder, name = look.resolve()
        found = _find(folder, name, look.stack)
        if found is None:
            raise NotFoundError(f"the image has no file {path}")
        if not isinstance(found, _File) or not stat.S_ISREG(found.status.st_mode):
            raise UntrustedContentError(f"{path} in the image is not a regular file")
        handle = os.open(name, _FILE, dir_fd=found.folder)
        look.stack.callback(os.close, handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise UntrustedContentError(f"{path} in the image is not a regular file")
        yield handle


def read_bytes_in_root(layers: Sequence[Path], path: str, max_bytes: int = 1 << 20) -> bytes:
    """A file's content; :class:`UntrustedContentError` where it has more than *max_bytes*."""
    with open_in_root(layers, path) as handle, os.fdopen(os.dup(handle), "rb") as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise UntrustedContentError(f"{path} in the image has more than {max_bytes} bytes")
    return data


def read_text_in_root(layers: Sequence[Path], path: str, max_bytes: int = 1 << 20) -> str:
    """A file's text; bytes that are not UTF-8 become U+FFFD."""
    return read_bytes_in_root(layers, path, max_bytes).decode("utf-8", "replace")


def exists_in_root(layers: Sequence[Path], path: str) -> bool:
    """Whether there is anything at *path*, links followed. False for link loops, too."""
    try:
        resolve_in_root(layers, path)
    except (NotFoundError, UntrustedContentError):
        return False
    return True


def mode_in_root(layers: Sequence[Path], path: str) -> int:
    """Type and permissions (inode(7)) of what is at *path*, links followed; :class:`NotFoundError`."""
    with _Look(layers, path) as look:
        folder, name = look.resolve()
        found = _find(folder, name, look.stack) if name else folder
        if found is None:
            raise NotFoundError(f"the image has no {path}")
        return found.status.st_mode if isinstance(found, _File) else os.fstat(found[0]).st_mode


def resolve_in_root(layers: Sequence[Path], path: str) -> str:
    """The absolute path in the image, without links and ``..``, that *path* leads to; :class:`NotFoundError`."""
    with _Look(layers, path) as look:
        folder, name = look.resolve()
        if name and _find(folder, name, look.stack) is None:
            raise NotFoundError(f"the image has no {path}")
        return "/" + os.fsdecode(b"/".join([*look.names, name] if name else look.names))


class _File(msgspec.Struct, frozen=True):
    """What is no folder, and the open part of the merged folder it is in."""

    folder: int
    status: os.stat_result


class _Look:
    """One walk, from the root. Folders stay open until its end: ``..`` leads back to them."""

    def __init__(self, layers: Sequence[Path], path: str) -> None:
        self._layers, self._path = layers, path
        self.stack = ExitStack()
        self.names: list[bytes] = []
        """Of the folders that the walk is in."""

    def __enter__(self) -> _Look:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stack.close()

    def resolve(self) -> tuple[_Folder, bytes]:
        """The merged folder that holds the path's last name, and that name; empty where it is the root or ``..``."""
        root = tuple(self._open(path) for path in reversed(self._layers))
        folders: list[_Folder] = [root]
        parts = [part for part in reversed(os.fsencode(self._path).split(b"/")) if part not in (b"", b".")]
        links = steps = 0
        while parts:
            steps += 1
            if steps > _STEPS:
                raise UntrustedContentError(f"{self._path} in the image leads through too many folders")
            name = parts.pop()
            if name == b"..":
                if self.names:
                    self.names.pop()
                    folders.pop()
                continue
            found = _find(folders[-1], name, self.stack)
            if isinstance(found, _File) and stat.S_ISLNK(found.status.st_mode):
                links += 1
                if links > _LINKS:
                    raise UntrustedContentError(f"{self._path} in the image leads through too many symbolic links")
                text = os.readlink(name, dir_fd=found.folder)
                if text.startswith(b"/"):
                    del folders[1:]
                    self.names.clear()
                parts += [part for part in reversed(text.split(b"/")) if part not in (b"", b".")]
                continue
            if not parts:
                return folders[-1], name
            if not isinstance(found, tuple):
                raise NotFoundError(f"the image has no {self._path}")
            folders.append(found)
            self.names.append(name)
        return folders[-1], b""

    def _open(self, path: Path) -> int:
        handle = os.open(path, _FOLDER)
        self.stack.callback(os.close, handle)
        return handle


def _find(folder: _Folder, name: bytes, stack: ExitStack) -> _Folder | _File | None:
    """*name* in a merged folder, as overlayfs would show it."""
    parts: list[int] = []
    for part in folder:
        try:
            status = os.stat(name, dir_fd=part, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if is_whiteout(status):
            break
        if not stat.S_ISDIR(status.st_mode):
            if not parts:
                return _File(part, status)
            break
        handle = os.open(name, _FOLDER, dir_fd=part)
        stack.callback(os.close, handle)
        parts.append(handle)
        if is_opaque(handle):
            break
    return tuple(parts) or None
