"""A layer's tree as a tar stream: the same bytes for the same tree, wherever and by whomever it was made.

Entries come depth first, each folder's sorted by their names' bytes; owner and group are 0 without names; times are
whole seconds, never after an epoch; the root folder has no entry. Nothing of a tar is kept on disk: files are read
into a ring of buffers by a thread of its own, ahead of the one that hashes or writes (:mod:`hashlib` and reads
release the interpreter's lock, so both cores work).
"""

from __future__ import annotations

import errno
import os
import queue
import stat
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import TypeAlias

import msgspec

from ..errors import StoreError
from .facts import Facts, quote_name, unquote_name
from .tar import DIRECTORY, END, FIFO, FILE, HARD_LINK, SYMBOLIC_LINK, Member, pack, pad
from .whiteout import OPAQUE_MARKER, PREFIX, is_opaque, is_whiteout

__all__ = [
    "MARKER_MODE",
    "Found",
    "Item",
    "describe",
    "marker",
    "read_xattrs",
    "scan",
    "stream_tar",
    "tar_items",
    "whole_seconds",
]

_BUFFER = 1 << 20
_BUFFERS = 6
MARKER_MODE = 0o644
"""Of whiteout files; what they have on disk is overlayfs's business and would not be the same everywhere."""

Item: TypeAlias = tuple[Member, bytes | None]
"""An entry, and the path of the file whose bytes follow it."""


class Found(msgspec.Struct):
    """Something in a tree."""

    name: bytes
    """Relative to the tree."""
    path: bytes
    status: os.stat_result


def scan(tree: bytes) -> Iterator[Found]:
    """Everything below *tree*, folders before what they hold, in the order of the tar.

    A folder is read only after it was handed out, so that the taker can make it readable first.
    """
    stack = [iter(_listed(tree, b""))]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        yield found
        if stat.S_ISDIR(found.status.st_mode):
            stack.append(iter(_listed(found.path, found.name + b"/")))


def _listed(folder: bytes, prefix: bytes) -> list[Found]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        return [Found(prefix + entry.name, entry.path, entry.stat(follow_symlinks=False)) for entry in listed]
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise StoreError(
            f"{quote_name(prefix[:80])}…: folders are nested so deep that their path has more than 4095 bytes",
            hint="remove them before the step ends",
        ) from error


def describe(found: Found, *, mode: int, mtime: int, link: bytes = b"") -> Member:
    """The tar entry for *found*. *link*: the entry's name that it is a hard link to."""
    kind = stat.S_IFMT(found.status.st_mode)
    if link:
        return Member(found.name, HARD_LINK, mode, mtime, link=link)
    if kind == stat.S_IFREG:
        return Member(found.name, FILE, mode, mtime, size=found.status.st_size)
    if kind == stat.S_IFDIR:
        return Member(found.name, DIRECTORY, mode, mtime)
    if kind == stat.S_IFLNK:
        return Member(found.name, SYMBOLIC_LINK, 0o777, mtime, link=os.readlink(found.path))  # noqa: PTH115  bytes
    if kind == stat.S_IFIFO:
        return Member(found.name, FIFO, mode, mtime)
    if is_whiteout(found.status):
        folder, _, name = found.name.rpartition(b"/")
        return marker(folder, PREFIX + name)
    raise StoreError(
        f"{quote_name(found.name)} is a device or a socket, which a layer can't hold",
        hint="run `jupyter-containers verify`: the layer was changed after it was committed",
    )


def marker(folder: bytes, name: bytes) -> Member:
    """A whiteout's entry: *name* in *folder* (empty: the root)."""
    return Member(folder + b"/" + name if folder else name, FILE, MARKER_MODE, 0)


def tar_items(tree: bytes, facts: Facts) -> Iterator[Item]:
    """The entries of a committed layer's tar: its tree with what *facts* tell."""
    modes = {unquote_name(name): mode for name, mode in facts.modes.items()}
    links = {unquote_name(name): unquote_name(link) for name, link in facts.links.items()}
    for found in scan(tree):
        name, mode = found.name, found.status.st_mode
        link = links.get(name, b"")
        true_mode = modes.get(link or name, stat.S_IMODE(mode))
        member = describe(found, mode=true_mode, mtime=whole_seconds(found.status), link=link)
        if not link and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            member.xattrs = read_xattrs(found.path) | dict(facts.xattrs_of(name))
        yield member, (found.path if member.kind == FILE and member.size else None)
        if member.kind == DIRECTORY and is_opaque(found.path):
            yield marker(name, OPAQUE_MARKER), None


def read_xattrs(path: bytes) -> dict[bytes, bytes]:
    """The attributes that a layer carries: the user's own, and not overlayfs's."""
    keys = os.listxattr(path, follow_symlinks=False)
    return {
        key.encode(): os.getxattr(path, key, follow_symlinks=False)
        for key in keys
        if key.startswith("user.") and not key.startswith("user.overlay.")
    }


def whole_seconds(status: os.stat_result) -> int:
    """The modification time without its fraction. ``st_mtime`` is a float, which rounds .9999999 up."""
    return status.st_mtime_ns // 1_000_000_000


def stream_tar(items: Iterable[Item]) -> Generator[memoryview, None, None]:
    """The tar in pieces of up to 1 MiB. A piece is valid until the next is asked for.

    *items* is run in the reading thread; what it raises is raised here. Raises :class:`StoreError` where a file's
    size is not the one its entry has.
    """
    free: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
    full: queue.SimpleQueue[tuple[bytearray, int] | BaseException | None] = queue.SimpleQueue()
    for _ in range(_BUFFERS):
        free.put(bytearray(_BUFFER))
    thread = threading.Thread(target=_read_ahead, args=(items, free, full), name="read-ahead", daemon=True)
    thread.start()
    try:
        while (piece := full.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            buffer, length = piece
            yield memoryview(buffer)[:length]
            free.put(buffer)
    finally:
        free.put(None)
        thread.join()


class _Abandoned(Exception):
    """Nobody wants the rest of the stream."""


class _Ring:
    """The writing end of the ring of buffers."""

    def __init__(
        self,
        free: queue.SimpleQueue[bytearray | None],
        full: queue.SimpleQueue[tuple[bytearray, int] | BaseException | None],
    ) -> None:
        self._free, self._full = free, full
        self._buffer, self._length = self._next(), 0

    def _next(self) -> bytearray:
        buffer = self._free.get()
        if buffer is None:
            raise _Abandoned
        return buffer

    def room(self) -> memoryview:
        """The free part of the current buffer, never empty."""
        if self._length == _BUFFER:
            self._full.put((self._buffer, self._length))
            self._buffer, self._length = self._next(), 0
        return memoryview(self._buffer)[self._length :]

    def taken(self, size: int) -> None:
        """*size* bytes of the room were written to."""
        self._length += size

    def put(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            room = self.room()
            size = min(len(room), len(data) - position)
            room[:size] = data[position : position + size]
            self.taken(size)
            position += size

    def flush(self) -> None:
        self._full.put((self._buffer, self._length))


def _read_ahead(
    items: Iterable[Item],
    free: queue.SimpleQueue[bytearray | None],
    full: queue.SimpleQueue[tuple[bytearray, int] | BaseException | None],
) -> None:
    try:
        ring = _Ring(free, full)
        for member, path in items:
            ring.put(pack(member))
            if path is not None:
                _read_file(path, member, ring)
        ring.put(END)
        ring.flush()
        full.put(None)
    except _Abandoned:
        pass
    except BaseException as error:  # handed to the thread that asked
        full.put(error)


def _read_file(path: bytes, member: Member, ring: _Ring) -> None:
    left = member.size
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while left:
            size = os.readv(handle, [ring.room()[:left]])
            if size == 0:
                raise StoreError(f"{quote_name(member.name)} became shorter while it was read")
            ring.taken(size)
            left -= size
        # One more byte would mean that it grew: the status that the header was made from is old.
        if os.fstat(handle).st_size != member.size:
            raise StoreError(f"{quote_name(member.name)} grew while it was read")
    finally:
        os.close(handle)
    ring.put(pad(member.size))
