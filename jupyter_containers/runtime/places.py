"""Folders by descriptor, on the host and in containers, in which files are read and made without following a link.

A container may change its tree while it is read. So a path in it is walked part by part: each folder is opened from the
one above it with ``O_NOFOLLOW``, a link's text is read and walked by us, from the container's root where it is
absolute, and ``..`` goes back to the folder we came from. Nothing that a link says is ever looked up on the host; it
is what openat2(2) does with RESOLVE_IN_ROOT, which can't be asked for a root that is merged from layers
(:mod:`.rest`).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, Self

from ..sandbox.ownership import file_system_identity

__all__ = ["FILE", "FOLDER", "NEW_FILE", "FolderPlace", "Place", "check_regular", "walk"]

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
"""As the kernel has it (path_resolution(7))."""


class Place(Protocol):
    """One folder. All errors are :class:`OSError`. Use it as a context, or :meth:`close` it."""

    def status(self, name: str) -> os.stat_result | None:
        """Of what *name* is, not of what it leads to; None where there is nothing."""

    def names(self) -> list[str]:
        """Sorted."""

    def enter(self, name: str) -> Place:
        """The folder *name*."""

    def open(self, name: str) -> int:
        """The regular file *name*, for reading."""

    def link_text(self, name: str) -> str: ...

    def make_folder(self, name: str) -> None:
        """A new one."""

    def make_file(self, name: str) -> int:
        """A new one, open for writing, in place of a file or link that is there."""

    def make_link(self, name: str, text: str) -> None:
        """A symbolic link, in place of a file or link that is there."""

    def settle(self, name: str, *, mode: int | None, mtime_ns: int) -> None:
        """Set the mode (None: of a link) and time of what was made."""

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...


class FolderPlace:
    """A folder as the kernel shows it; *identity* is whose files the new ones are, where it is not the caller."""

    def __init__(self, handle: int, *, identity: int | None = None) -> None:
        """*handle* is the place's to close."""
        self._handle, self._identity = handle, identity

    def status(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        return sorted(os.listdir(self._handle))

    def enter(self, name: str) -> FolderPlace:
        return FolderPlace(os.open(name, FOLDER, dir_fd=self._handle), identity=self._identity)

    def open(self, name: str) -> int:
        return check_regular(os.open(name, FILE, dir_fd=self._handle))

    def link_text(self, name: str) -> str:
        return os.readlink(name, dir_fd=self._handle)

    def make_folder(self, name: str) -> None:
        with file_system_identity(self._identity):
            os.mkdir(name, 0o700, dir_fd=self._handle)

    def make_file(self, name: str) -> int:
        with file_system_identity(self._identity):
            self._clear(name)
            return os.open(name, NEW_FILE, 0o600, dir_fd=self._handle)

    def make_link(self, name: str, text: str) -> None:
        with file_system_identity(self._identity):
            self._clear(name)
            os.symlink(text, name, dir_fd=self._handle)

    def settle(self, name: str, *, mode: int | None, mtime_ns: int) -> None:
        with file_system_identity(self._identity):
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=self._handle, follow_symlinks=False)
            if mode is not None:
                _change_mode(name, self._handle, mode)

    def close(self) -> None:
        os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _clear(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._handle)
        except FileNotFoundError:
            return


def _change_mode(name: str, folder: int, mode: int) -> None:
    """Of what was just made; a link that came in its place is not followed (fchmodat(2) can't be asked for that)."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISLNK(os.fstat(handle).st_mode):
            os.chmod(f"/proc/self/fd/{handle}", mode)  # noqa: PTH101  by descriptor
    finally:
        os.close(handle)


def check_regular(handle: int) -> int:
    """*handle*, where it is a regular file; closed, and an error, where it is not."""
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return handle


@contextmanager
def walk(root: Place, path: str, *, follow: bool) -> Iterator[tuple[Place, str]]:
    """The folder that holds *path*'s last name, and that name; the root's own is empty.

    *follow*: a link at the end is followed, too. What a path ends with need not exist, all before must.
    Raises :class:`OSError`.
    """
    with ExitStack() as stack:
        folders: list[Place] = [root]
        names: list[str] = []
        follow = follow or path.endswith(("/", "/."))
        parts = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        while parts:
            name = parts.pop()
            if name == "..":
                if names:
                    names.pop()
                    folders.pop()
                continue
            status = folders[-1].status(name)
            is_link = status is not None and stat.S_ISLNK(status.st_mode)
            if is_link and (parts or follow):
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                text = folders[-1].link_text(name)
                if text.startswith("/"):
                    del folders[1:]
                    names.clear()
                parts += [part for part in reversed(text.split("/")) if part not in ("", ".")]
                continue
            if not parts:
                yield folders[-1], name
                return
            if status is None:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/".join(["", *names, name]))
            folders.append(stack.enter_context(folders[-1].enter(name)))
            names.append(name)
        if names:
            yield folders[-2], names[-1]
        else:
            yield root, ""
