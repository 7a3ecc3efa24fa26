"""Writing files into a tree that will be somebody's root, from the host and never outside of it.

Every path is resolved by the kernel with the tree as its root (``openat2`` with ``RESOLVE_IN_ROOT``), as it would be
for a program that is chrooted there: a link in the tree, absolute or with ``..``, can't lead out.
"""

# Every path is relative to a descriptor, which pathlib does not know.
# ruff: noqa: PTH119, PTH120, S103

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import struct
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from ..errors import ArchiveError

__all__ = ["Tree"]

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_OPENAT2 = 437  # the same on every architecture (asm-generic/unistd.h)
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10  # linux/openat2.h
_OPEN_FOLDERS = 32


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Tree:
    """One tree, open for writing; paths are given relative to it, without ``.`` and ``..``.

    Not for use by two threads at once; two trees on one folder may be written at the same time.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folders: OrderedDict[str, int] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for folder in self._folders.values():
            os.close(folder)
        self._folders.clear()
        os.close(self._root)

    def folder(self, path: str, mode: int | None = None) -> None:
        """Make the folder *path* with its parents; *mode* applies only where it is new (dpkg's rule)."""
        if not path:
            return
        parent, name = self._parent(path)
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            self._open(path)  # a link to a folder will do, a file won't
            return
        os.chmod(name, 0o755 if mode is None else mode, dir_fd=parent)

    def file(self, path: str, content: Readable | bytes, mode: int, mtime: int | None = None) -> None:
        """Write a file, in place of what was there."""
        parent, name = self._parent(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            handle = os.open(name, flags, 0o600, dir_fd=parent)
        except FileExistsError:
            os.unlink(name, dir_fd=parent)
            handle = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            if isinstance(content, bytes):
                _write_all(handle, content)
            else:
                while chunk := content.read(1 << 20):
                    _write_all(handle, chunk)
            os.fchmod(handle, mode)
            if mtime is not None:
                os.utime(handle, (mtime, mtime))
        finally:
            os.close(handle)

    def link(self, path: str, target: str, mtime: int | None = None) -> None:
        """Make the symbolic link *path*; a folder that is already there stays (it has files of others in it)."""
        parent, name = self._parent(path)
        try:
            os.symlink(target, name, dir_fd=parent)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                return
            os.unlink(name, dir_fd=parent)
            os.symlink(target, name, dir_fd=parent)
        if mtime is not None:
            os.utime(name, (mtime, mtime), dir_fd=parent, follow_symlinks=False)

    def hard_link(self, path: str, existing: str) -> None:
        """Give the file *existing* of this tree the name *path* as well."""
        source, source_name = self._parent(existing)
        source = os.dup(source)  # the next line may close it
        try:
            parent, name = self._parent(path)
            try:
                os.link(source_name, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            except FileExistsError:
                os.unlink(name, dir_fd=parent)
                os.link(source_name, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)

    def move_in(self, file: Path, path: str) -> None:
        """Move a file from elsewhere on the same file system to *path*, in place of what was there."""
        parent, name = self._parent(path)
        os.rename(file, name, dst_dir_fd=parent)

    def read(self, path: str, limit: int = 16 << 20) -> bytes | None:
        """A regular file's bytes (at most *limit*), None where there is none."""
        try:
            handle = _openat2(self._root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ArchiveError(f"/{path} is not a regular file")
            return stream.read(limit)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all in it; not there: nothing to do."""
        try:
            parent = _openat2(self._root, os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        name = os.path.basename(path)
        try:
            if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                shutil.rmtree(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        finally:
            os.close(parent)

    def empty(self, path: str, *, folders: bool) -> None:
        """Remove all that is in the folder *path*, or with *folders* False only what are no folders, at any depth."""
        try:
            top = _openat2(self._root, path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            for _, inner, names, folder in os.fwalk(".", topdown=False, dir_fd=top):
                for name in names:
                    os.unlink(name, dir_fd=folder)
                for name in inner:
                    if stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode):
                        os.unlink(name, dir_fd=folder)
                    elif folders:
                        os.rmdir(name, dir_fd=folder)
        finally:
            os.close(top)

    def names(self, path: str) -> list[str]:
        """The names in the folder *path*, sorted; none where there is no such folder."""
        try:
            folder = _openat2(self._root, path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return sorted(os.listdir(folder))
        finally:
            os.close(folder)

    def _parent(self, path: str) -> tuple[int, str]:
        folder, _, name = path.rpartition("/")
        if name in {"", ".", ".."}:
            raise ArchiveError(f"{path!r} is not a path of a file")
        return self._open(folder), name

    def _open(self, path: str) -> int:
        if not path:
            return self._root
        known = self._folders.get(path)
        if known is not None:
            self._folders.move_to_end(path)
            return known
        try:
            handle = _openat2(self._root, path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            parent, name = self._parent(path)
            try:
                os.mkdir(name, 0o755, dir_fd=parent)
                os.chmod(name, 0o755, dir_fd=parent)
            except FileExistsError:
                pass  # another thread was quicker
            handle = _openat2(self._root, path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folders[path] = handle
        if len(self._folders) > _OPEN_FOLDERS:
            os.close(self._folders.popitem(last=False)[1])
        return handle


def _write_all(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def _openat2(folder: int, path: str, flags: int) -> int:
    how = struct.pack("QQQ", flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    while True:
        result = int(_syscall(_OPENAT2, folder, os.fsencode(path), how, ctypes.c_size_t(len(how))))
        if result >= 0:
            return result
        code = ctypes.get_errno()
        # EAGAIN: a rename elsewhere raced with the walk (openat2(2)).
        if code not in {errno.EAGAIN, errno.EINTR}:
            raise OSError(code, os.strerror(code), path)
