"""`cp`: files between the host and a container, with docker's rules for what goes where.

======================  ===================================  ==========================================
source                  target                               what happens
======================  ===================================  ==========================================
a file                  does not exist                       is made
a file                  does not exist, written with ``/``   refused
a file                  a file                               is replaced
a file                  a folder                             is made in it
a folder                does not exist                       is made, with what the source holds
a folder                a file                               refused
a folder                a folder                             is made in it
a folder, with ``/.``   a folder                             what the source holds is made in it
======================  ===================================  ==========================================

Modes and times are kept. There is one owner in a container, and it gets all that is made there; on the host it is the
caller.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import msgspec

from ..errors import ContainerError, ContainersError
from ..image.progress import Counter, Progress, quiet
from .places import Place, walk

__all__ = ["NOT_COPIED", "Copied", "Source", "Spot", "copy", "open_source", "open_target", "told"]

_PIECE = 1 << 20
_DEEPEST = 200
"""Folders in folders: each holds descriptors while it is copied."""
NOT_COPIED = ("proc", "sys", "dev")
"""Of a container's root: the kernel's own, and no files."""

Spot: TypeAlias = tuple[Place, str]
"""A name in a folder; empty: the folder itself."""


class Copied(msgspec.Struct):
    """What was copied, and what was left out."""

    files: int = 0
    """Files, links and folders."""
    size: int = 0
    """Bytes of regular files."""
    left_out: list[str] = []
    """Sockets, pipes and devices."""


class Source(msgspec.Struct, frozen=True):
    """What is to be copied."""

    place: Place
    name: str
    label: str
    """For errors: ``CONTAINER:PATH``."""
    base: str
    """The name that it gets in a folder; empty: what it holds is copied, and not it."""
    status: os.stat_result


@contextmanager
def open_source(root: Place, path: str, *, label: str, follow: bool, named: str) -> Iterator[Source]:
    """What *path* leads to below *root*; *follow*: through a link at its end, too. In a folder it gets the name that
    *named*, the path as the user wrote it, ends with. :class:`ContainerError`."""
    with told(label), walk(root, path, follow=follow) as (place, name):
        status = place.status(name or ".")
        if status is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not stat.S_ISDIR(status.st_mode) and path.endswith(("/", "/.")):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        base = posixpath.basename(named.rstrip("/"))
        if base == ".." or (base == "" and name):
            base = name
        yield Source(place, name, label, "" if base == "." or not name else base, status)


@contextmanager
def open_target(root: Place, path: str, source: Source, *, label: str) -> Iterator[Spot]:
    """Where *source* is to be made below *root*, by the table above. :class:`ContainerError`."""
    is_folder = stat.S_ISDIR(source.status.st_mode)
    with told(label), walk(root, path, follow=True) as (place, name):
        present = place.status(name or ".")
        if present is None:
            if path.endswith("/") and not is_folder:
                raise OSError(errno.ENOENT, "no such folder")
            yield place, name
        elif stat.S_ISDIR(present.st_mode):
            if not name:
                yield place, source.base
            elif not source.base:
                yield place, name
            else:
                with place.enter(name) as inside:
                    yield inside, source.base
        elif is_folder:
            raise OSError(errno.ENOTDIR, "it is a file, and a folder can't be copied to it")
        elif path.endswith("/"):
            raise OSError(errno.ENOTDIR, "it is a file, and not a folder")
        else:
            yield place, name


def copy(source: Source, target: Spot, *, skip: tuple[str, ...] = (), progress: Progress = quiet) -> Copied:
    """Copy *source* to *target*. *skip*: names that are left out where the source is a whole root.

    Raises :class:`OSError`; what was copied until then stays.
    """
    work = _Work(Copied(), Counter("copying files", 0, progress))
    place, name = target
    if source.name:
        _copy(source.place, source.name, place, name, work, depth=0)
    elif not name:
        _fill(source.place, place, work, depth=0, skip=skip)
    else:
        _enter_or_make(place, name)
        with place.enter(name) as inside:
            _fill(source.place, inside, work, depth=0, skip=skip)
    return work.copied


class _Work(NamedTuple):
    """How far it is, and who is told."""

    copied: Copied
    counter: Counter


def _copy(source: Place, name: str, target: Place, new: str, work: _Work, *, depth: int) -> None:
    status = source.status(name)
    if status is None:
        return  # gone meanwhile
    kind = stat.S_IFMT(status.st_mode)
    present = target.status(new) if new else None
    if present is not None and stat.S_ISDIR(present.st_mode) != (kind == stat.S_IFDIR):
        what = "a folder" if stat.S_ISDIR(present.st_mode) else "no folder"
        raise OSError(errno.EEXIST, f"it is {what} in the target, and can't be replaced", name)
    if kind == stat.S_IFDIR:
        _copy_folder(source, name, target, new, work, depth=depth, status=status)
        return
    if kind == stat.S_IFLNK:
        target.make_link(new, source.link_text(name))
    elif kind == stat.S_IFREG:
        work.copied.size += _copy_file(source, name, target, new, work.counter)
    else:
        work.copied.left_out.append(name)
        return
    target.settle(new, mode=None if kind == stat.S_IFLNK else _mode(status), mtime_ns=status.st_mtime_ns)
    work.copied.files += 1


def _copy_folder(
    source: Place, name: str, target: Place, new: str, work: _Work, *, depth: int, status: os.stat_result
) -> None:
    if depth > _DEEPEST:
        raise OSError(errno.ELOOP, f"folders are nested more than {_DEEPEST} deep", name)
    made = bool(new) and _enter_or_make(target, new)
    with source.enter(name) as inner:
        if new:
            with target.enter(new) as inside:
                _fill(inner, inside, work, depth=depth + 1)
        else:
            _fill(inner, target, work, depth=depth + 1)
    if made:
        target.settle(new, mode=_mode(status), mtime_ns=status.st_mtime_ns)
    work.copied.files += 1


def _fill(source: Place, target: Place, work: _Work, *, depth: int, skip: tuple[str, ...] = ()) -> None:
    for name in source.names():
        if name not in skip:
            _copy(source, name, target, name, work, depth=depth)


def _enter_or_make(target: Place, name: str) -> bool:
    """Whether it was made."""
    if target.status(name) is not None:
        return False
    target.make_folder(name)
    return True


def _copy_file(source: Place, name: str, target: Place, new: str, counter: Counter) -> int:
    size = 0
    one = source.open(name)
    try:
        other = target.make_file(new)
        try:
            # Not copy_file_range: a container's root may be of any file system, FUSE and proc among them.
            while piece := os.read(one, _PIECE):
                view = memoryview(piece)
                size += len(piece)
                counter.add(len(piece))
                while view:
                    view = view[os.write(other, view) :]
        finally:
            os.close(other)
    finally:
        os.close(one)
    return size


def _mode(status: os.stat_result) -> int:
    """Without setuid and setgid: they mean another's rights, and there is one owner."""
    return stat.S_IMODE(status.st_mode) & ~(stat.S_ISUID | stat.S_ISGID)


@contextmanager
def told(label: str) -> Iterator[None]:
    """Turn the operating system's errors into :class:`ContainerError`, with *label* and the file's name."""
    try:
        yield
    except OSError as error:
        if isinstance(error, ContainersError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f"{label}: {error.filename}" if error.filename and error.filename != label else label
        hints = {
            errno.EROFS: "the system folders of a container are read-only; `run --user root` may write to them",
            errno.EACCES: "its mode keeps its own owner from it",
        }
        raise ContainerError(f"{where}: {error.strerror}", hint=hints.get(error.errno or 0, "")) from error
