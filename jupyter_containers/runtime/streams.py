"""`cp` from and to a tar stream (``-``)."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import UntrustedContentError
from ..image.bounds import DEFAULT_BOUNDS, Room
from ..image.compression import Readable
from ..image.foreign import plain_tar
from ..image.progress import Counter, Progress, quiet
from ..image.tar import DIRECTORY, END, FILE, HARD_LINK, SYMBOLIC_LINK, Member, pack, pad
from ..image.untrusted import TarReader
from .copying import Copied, Source
from .places import Place, walk

__all__ = ["unpack_stream", "write_stream"]

_PIECE = 1 << 20


def write_stream(source: Source, stream: BinaryIO, *, skip: tuple[str, ...] = (), progress: Progress = quiet) -> Copied:
    """Write *source* as a tar to *stream*: under its own name, or, a folder with ``/.``, what it holds.

    Owners are 0. *skip*: names that are left out of a whole root. Raises :class:`OSError`.
    """
    copied = Copied()
    if not source.name:
        entries = _inside(source.place, b"", copied, skip)
    elif not source.base:
        with source.place.enter(source.name) as place:
            _send(_inside(place, b"", copied), stream, progress)
        entries = iter(())
    else:
        entries = _entry(source.place, source.name, b"", copied)
    _send(entries, stream, progress)
    stream.write(END)
    return copied


def _send(pieces: Iterator[bytes], stream: BinaryIO, progress: Progress) -> None:
    counter = Counter("copying files", 0, progress)
    for piece in pieces:
        stream.write(piece)
        counter.add(len(piece))


def _inside(place: Place, prefix: bytes, copied: Copied, skip: tuple[str, ...] = ()) -> Iterator[bytes]:
    for name in place.names():
        if name not in skip:
            yield from _entry(place, name, prefix, copied)


def _entry(place: Place, name: str, prefix: bytes, copied: Copied) -> Iterator[bytes]:
    status = place.status(name)
    if status is None:
        return  # gone meanwhile
    whole, kind = prefix + os.fsencode(name), stat.S_IFMT(status.st_mode)
    mode, mtime = stat.S_IMODE(status.st_mode), status.st_mtime_ns // 10**9
    if kind == stat.S_IFDIR:
        copied.files += 1
        yield pack(Member(whole, DIRECTORY, mode, mtime))
        with place.enter(name) as inner:
            yield from _inside(inner, whole + b"/", copied)
    elif kind == stat.S_IFLNK:
        copied.files += 1
        yield pack(Member(whole, SYMBOLIC_LINK, 0o777, mtime, link=os.fsencode(place.link_text(name))))
    elif kind == stat.S_IFREG:
        copied.files += 1
        yield from _content(place.open(name), Member(whole, FILE, mode, mtime), copied)
    else:
        copied.left_out.append(os.fsdecode(whole))


def _content(handle: int, member: Member, copied: Copied) -> Iterator[bytes]:
    try:
        member.size = left = os.fstat(handle).st_size
        yield pack(member)
        while left:
            # A file that becomes shorter while it is read ends in zeros: the size is written already.
            piece = os.read(handle, min(left, _PIECE)) or bytes(min(left, _PIECE))
            left -= len(piece)
            yield piece
        copied.size += member.size
        yield pad(member.size)
    finally:
        os.close(handle)


def unpack_stream(
    root: Place, folder: str, stream: Readable, *, what: str, room: Room, progress: Progress = quiet
) -> Copied:
    """Make what the tar *stream* (plain or compressed) holds in the folder *folder* below *root*.

    The tar is read as foreign ones are; links that the container has on the way are followed inside of it. Raises
    :class:`UntrustedContentError` and :class:`OSError`; what was made until then stays.
    """
    copied = Copied()
    folders: list[tuple[str, Member]] = []
    counter = Counter("copying files", 0, progress)
    with walk(root, folder, follow=True) as (place, name):
        status = place.status(name or ".")
        if status is None or not stat.S_ISDIR(status.st_mode):
            raise UntrustedContentError(f"{folder} is no folder in the container", hint="a tar is unpacked in a folder")
    with plain_tar(stream, what=what, bounds=DEFAULT_BOUNDS) as tar:
        reader = TarReader(tar, what=what, bounds=DEFAULT_BOUNDS)
        for member in reader:
            counter.add(member.size)
            if not member.name:
                continue
            room.take(member.size)
            path = posixpath.join(folder, os.fsdecode(member.name))
            _make_parents(root, folder, os.fsdecode(member.name))
            with walk(root, path, follow=False) as (place, name):
                if _make(root, folder, place, name, member, reader, copied) and member.kind == DIRECTORY:
                    folders.append((path, member))
    for path, member in reversed(folders):
        with walk(root, path, follow=False) as (place, name):
            place.settle(name, mode=member.mode & 0o1777, mtime_ns=member.mtime * 10**9)
    return copied


def _make_parents(root: Place, folder: str, name: str) -> None:
    """The folders on the way to an entry, which a tar need not list."""
    path = folder
    for part in name.split("/")[:-1]:
        path = posixpath.join(path, part)
        with walk(root, path, follow=True) as (place, base):
            if base and place.status(base) is None:
                place.make_folder(base)
                place.settle(base, mode=0o755, mtime_ns=0)


def _make(root: Place, folder: str, place: Place, name: str, member: Member, reader: TarReader, copied: Copied) -> bool:
    """Whether something new was made."""
    present = place.status(name)
    if present is not None and stat.S_ISDIR(present.st_mode) != (member.kind == DIRECTORY):
        raise reader.error("in the container there is a folder of that name, or a file where this is a folder")
    if member.kind == DIRECTORY:
        copied.files += 1
        if present is None:
            place.make_folder(name)
        return present is None
    if member.kind == SYMBOLIC_LINK:
        place.make_link(name, os.fsdecode(member.link))
        place.settle(name, mode=None, mtime_ns=member.mtime * 10**9)
    elif member.kind == FILE:
        copied.size += _write(place.make_file(name), reader.content())
        place.settle(name, mode=member.mode & 0o1777, mtime_ns=member.mtime * 10**9)
    elif member.kind == HARD_LINK:
        # A copy: the two need not lie in one layer of the container.
        with walk(root, posixpath.join(folder, os.fsdecode(member.link)), follow=False) as (other, base):
            status = other.status(base)
            if status is None or not stat.S_ISREG(status.st_mode):
                raise reader.error("a hard link to what is no file in the container")
            copied.size += _write(place.make_file(name), _read(other.open(base)))
            place.settle(name, mode=stat.S_IMODE(status.st_mode), mtime_ns=status.st_mtime_ns)
    else:
        copied.left_out.append(os.fsdecode(member.name))
        return False
    copied.files += 1
    return True


def _write(handle: int, pieces: Iterator[bytes]) -> int:
    size = 0
    try:
        for piece in pieces:
            size += len(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(handle, view) :]
    finally:
        os.close(handle)
    return size


def _read(handle: int) -> Iterator[bytes]:
    try:
        while piece := os.read(handle, _PIECE):
            yield piece
    finally:
        os.close(handle)
