"""Recipes: a foreign tar without its files' bytes, which lie in the layer's tree already.

Foreign tars differ from ours in order, owners, times and padding, and their hash is their diff_id. With the recipe
and the tree the very same bytes are made again, so no tar is kept, and yet the layer can be verified and shipped.
The idea is tar-split's.

A recipe is one zlib stream of records: ``R``, a length (4 bytes, big-endian), that many bytes as they were; or
``F``, a size (8 bytes), a name's length (2 bytes), the name of a file in the tree with that many bytes.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import StoreError
from .facts import quote_name

__all__ = ["Recipe", "replay"]

_RAW, _FILE = b"R", b"F"
_LONGEST_RAW = 1 << 20
_PIECE = 1 << 20
_READ = 64 << 10


class Recipe:
    """Written while a foreign tar is read. Use it as a context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = path.open("xb")
        self._deflate = zlib.compressobj(3)
        self._raw = bytearray()

    def raw(self, data: bytes) -> None:
        """Bytes that are no file's content."""
        self._raw += data
        if len(self._raw) >= _LONGEST_RAW:
            self._flush_raw()

    def file(self, name: bytes, size: int) -> None:
        """*size* bytes, the content of the file *name* in the tree."""
        self._flush_raw()
        self._write(_FILE + size.to_bytes(8, "big") + len(name).to_bytes(2, "big") + name)

    def close(self) -> None:
        self._flush_raw()
        self._stream.write(self._deflate.flush())
        self._stream.close()

    def __enter__(self) -> Recipe:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _flush_raw(self) -> None:
        for start in range(0, len(self._raw), _LONGEST_RAW):
            part = bytes(self._raw[start : start + _LONGEST_RAW])
            self._write(_RAW + len(part).to_bytes(4, "big") + part)
        self._raw.clear()

    def _write(self, record: bytes) -> None:
        self._stream.write(self._deflate.compress(record))


def replay(recipe: Path, tree: Path) -> Iterator[bytes]:
    """The foreign tar's bytes in pieces. :class:`StoreError` where recipe or tree are damaged."""
    root = os.fsencode(tree)
    with recipe.open("rb") as stream:
        source = _Inflated(stream, recipe)
        while kind := source.read(1):
            if kind == _RAW:
                yield source.exactly(int.from_bytes(source.exactly(4), "big"))
            elif kind == _FILE:
                size = int.from_bytes(source.exactly(8), "big")
                name = source.exactly(int.from_bytes(source.exactly(2), "big"))
                yield from _content(root + b"/" + name, size, name)
            else:
                raise StoreError(f"{recipe} is damaged", hint="load the image again")


def _content(path: bytes, size: int, name: bytes) -> Iterator[bytes]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(handle).st_size != size:
            raise StoreError(f"{quote_name(name)} has not the size that it came with", hint="load the image again")
        while size:
            piece = os.read(handle, min(size, _PIECE))
            if not piece:
                raise StoreError(f"{quote_name(name)} became shorter while it was read")
            size -= len(piece)
            yield piece
    finally:
        os.close(handle)


class _Inflated:
    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path = stream, path
        self._inflate = zlib.decompressobj()
        self._buffer, self._at = b"", 0

    def read(self, size: int) -> bytes:
        """Up to *size* bytes; fewer only at the end."""
        parts = []
        while size and self._fill():
            parts.append(self._buffer[self._at : self._at + size])
            self._at += len(parts[-1])
            size -= len(parts[-1])
        return b"".join(parts)

    def exactly(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) != size:
            raise StoreError(f"{self._path} is cut off", hint="load the image again")
        return data

    def _fill(self) -> bool:
        while self._at == len(self._buffer) and not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._stream.read(_READ)
            if not data:
                return False
            try:
                self._buffer, self._at = self._inflate.decompress(data, _PIECE), 0
            except zlib.error as error:
                raise StoreError(f"{self._path} is damaged: {error}", hint="load the image again") from error
        return self._at < len(self._buffer)
