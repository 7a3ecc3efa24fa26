"""Files by name in what was handed over as an image: a folder, or a tar that is read in place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from ..errors import NotFoundError, UntrustedContentError
from .bounds import Bounds, Room
from .compression import Readable, compression_of, inflate
from .tar import FILE, SYMBOLIC_LINK
from .untrusted import TarReader

__all__ = ["Archive", "open_archive", "open_file"]

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MEMBERS = 100_000
"""An image's files: documents and one per layer, not a root's."""


class Archive(Protocol):
    what: str
    """Its path, for errors."""

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def open(self, name: str) -> AbstractContextManager[tuple[Readable, int]]:
        """A file from its start, and its size; :class:`UntrustedContentError` where there is none."""


@contextmanager
def open_archive(path: Path, *, scratch: Path, bounds: Bounds) -> Iterator[Archive]:
    """The folder, or the tar (also compressed) at *path*. A compressed one is unpacked to a file in *scratch*.

    Raises :class:`NotFoundError` and :class:`UntrustedContentError`.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotFoundError(f"cannot open {path}: {error.strerror}") from error
    try:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            yield _FolderArchive(handle, str(path))
            return
        if not stat.S_ISREG(status.st_mode):
            raise NotFoundError(f"{path} is neither a folder nor a file")
        compression = compression_of(os.pread(handle, 6, 0))
        if compression == "plain":
            yield _TarArchive(handle, str(path), bounds)
            return
        plain = _inflated(handle, compression, scratch / "archive", what=str(path), bounds=bounds)
        try:
            yield _TarArchive(plain, str(path), bounds)
        finally:
            os.close(plain)
    finally:
        os.close(handle)


@contextmanager
def open_file(path: Path) -> Iterator[Readable]:
    """The regular file at *path*; :class:`NotFoundError`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotFoundError(f"cannot open {path}: {error.strerror}") from error
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotFoundError(f"{path} is not a file")
        yield stream


def _inflated(handle: int, compression: str, target: Path, *, what: str, bounds: Bounds) -> int:
    """The file's uncompressed bytes in a new file without a name in the end."""
    room = Room(target.parent, bounds, what=what)
    source = _Part(handle, 0, os.fstat(handle).st_size)
    new = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        target.unlink()
        for piece in inflate(source, compression, what=what, bounds=bounds):
            room.take(len(piece))
            view = memoryview(piece)
            while view:
                view = view[os.write(new, view) :]
    except BaseException:
        os.close(new)
        raise
    return new


class _Part:
    """*size* bytes of an open file from *start*; its position is its own."""

    def __init__(self, handle: int, start: int, size: int) -> None:
        self._handle, self._position, self._left = handle, start, size

    def read(self, size: int, /) -> bytes:
        data = os.pread(self._handle, min(size, self._left), self._position)
        self.jump(len(data))
        return data

    def jump(self, size: int) -> None:
        self._position += size
        self._left = max(self._left - size, 0)


class _FolderArchive:
    def __init__(self, handle: int, what: str) -> None:
        self._root, self.what = handle, what

    def has(self, name: str) -> bool:
        try:
            os.close(self._open(name))
        except UntrustedContentError:
            return False
        return True

    @contextmanager
    def open(self, name: str) -> Iterator[tuple[Readable, int]]:
        with os.fdopen(self._open(name), "rb") as stream:
            yield stream, os.fstat(stream.fileno()).st_size

    def _open(self, name: str) -> int:
        *folders, base = name.split("/")
        if ".." in folders or base == "..":  # a docker archive's list names its layers as it likes
            raise UntrustedContentError(f"{self.what}: {name[:200]!r} would lead out of it")
        opened = [self._root]
        try:
            for folder in folders:
                opened.append(os.open(folder, _FOLDER, dir_fd=opened[-1]))
            handle = os.open(base, _FILE, dir_fd=opened[-1])
        except OSError as error:
            raise UntrustedContentError(f"{self.what}: cannot open {name}: {error.strerror}") from error
        finally:
            for folder_handle in opened[1:]:
                os.close(folder_handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise UntrustedContentError(f"{self.what}: {name} is not a regular file")
        return handle


class _TarArchive:
    def __init__(self, handle: int, what: str, bounds: Bounds) -> None:
        self._handle, self.what = handle, what
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        self._list(bounds)

    def _list(self, bounds: Bounds) -> None:
        whole = os.fstat(self._handle).st_size
        source = _Part(self._handle, 0, whole)
        reader = TarReader(source, what=self.what, bounds=bounds, jump=source.jump)
        for number, member in enumerate(reader):
            if number > _MEMBERS:
                raise UntrustedContentError(f"{self.what}: more than {_MEMBERS} entries are not an image")
            name = member.name.decode("utf-8", "replace")
            if member.kind == FILE:
                if name in self._files or name in self._links:
                    raise reader.error("its name was there before")
                if reader.position + member.size > whole:
                    raise reader.error("it is cut off")
                self._files[name] = (reader.position, member.size)
            elif member.kind == SYMBOLIC_LINK:
                # `docker save` before version 25 wrote a layer that two images share as a link to it.
                self._links[name] = _beside(name, member.link.decode("utf-8", "replace"))

    def has(self, name: str) -> bool:
        return self._links.get(name, name) in self._files

    @contextmanager
    def open(self, name: str) -> Iterator[tuple[Readable, int]]:
        try:
            start, size = self._files[self._links.get(name, name)]
        except KeyError:
            raise UntrustedContentError(f"{self.what}: it has no file {name[:200]!r}") from None
        yield _Part(self._handle, start, size), size


def _beside(name: str, link: str) -> str:
    """The member that a relative link in the archive means; no member has a name with ``..``."""
    parts = name.split("/")[:-1]
    for part in link.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
