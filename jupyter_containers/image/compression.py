"""Decompression of foreign streams: by their first bytes, in bounded memory, with an eye on bombs."""

from __future__ import annotations

import bz2
import lzma
import queue
import threading
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

from ..errors import UntrustedContentError
from .bounds import Bounds

__all__ = ["Readable", "compression_of", "inflate", "run_ahead"]

_PIECE = 1 << 20
_WINDOW = 128 << 20
"""Bytes of zstd's window that are allowed: its ``--long=27``."""
_ZSTD_PART = 2 << 10
"""Bytes of input given at a time, which bounds the output of one call: 4 bytes make a block of up to 128 KiB."""
_XZ_MEMORY = 256 << 20
_AHEAD = 4
_SHORTEST_PART = 4 << 10
"""Bytes of input given to a decompressor that has just begun: what it leaves over is copied, at the end of each of
many small streams."""

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
}


class Readable(Protocol):
    """A binary stream, or what reads like one: ``read(n)`` gives up to *n* bytes, none at the end."""

    def read(self, size: int, /) -> bytes: ...


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def compression_of(head: bytes) -> str:
    """``gzip``, ``zstd``, ``xz``, ``bzip2`` or, by a stream's first six bytes, ``plain``."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "plain")


def inflate(stream: Readable, compression: str, *, what: str, bounds: Bounds) -> Iterator[bytes]:
    """The uncompressed bytes in pieces of up to 1 MiB; *what* names the stream in errors.

    Raises :class:`UntrustedContentError` for a stream that is damaged, cut off, or inflates beyond all measure.
    """
    counted = _Counted(stream, what, bounds)
    produced = 0
    try:
        for piece in _PIECES[compression](counted):
            produced += len(piece)
            counted.produced = produced
            if produced > bounds.size:
                raise UntrustedContentError(f"{what}: it inflates to more than {bounds.size} bytes")
            if produced > bounds.ratio_from and produced > bounds.ratio * counted.size:
                raise UntrustedContentError(
                    f"{what}: {counted.size} bytes inflate to more than {produced}: a compression bomb"
                )
            yield piece
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UntrustedContentError(f"{what}: not a whole {compression} stream ({error})") from error


class _Counted:
    def __init__(self, stream: Readable, what: str, bounds: Bounds) -> None:
        self._stream, self._what, self._bounds = stream, what, bounds
        self.size = self.produced = 0

    def read(self, size: int, /) -> bytes:
        """Raises :class:`UntrustedContentError` for input without end that nothing comes of: empty streams, padding."""
        data = self._stream.read(size)
        self.size += len(data)
        if self.size > self.produced + self.produced // 100 + self._bounds.barren:
            raise UntrustedContentError(f"{self._what}: {self.size} bytes hold no more than {self.produced}")
        return data


def _plain(stream: Readable) -> Iterator[bytes]:
    while piece := stream.read(_PIECE):
        yield piece


class _Gzip:
    """zlib's object with the interface of the other two."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _members(new: Callable[[], _Decompressor]) -> Callable[[Readable], Iterator[bytes]]:
    """Streams that may follow each other in one file, as gzip, xz and bzip2 allow."""

    def pieces(stream: Readable) -> Iterator[bytes]:
        source, inner, size = _Ahead(stream), new(), _SHORTEST_PART
        data = source.read(size)
        while True:
            piece = inner.decompress(data, _PIECE)
            if piece:
                yield piece
            if inner.eof:
                source.give_back(len(inner.unused_data))
                if source.is_padding():
                    return
                inner, size = new(), _SHORTEST_PART
                data = source.read(size)
            elif piece:
                data = b""  # there may be more in the decompressor
            else:
                size = min(2 * size, _PIECE)
                data = source.read(size)
                if not data:
                    raise EOFError("it is cut off")

    return pieces


class _Ahead:
    """A stream of which a part that was read can be given back."""

    def __init__(self, stream: Readable) -> None:
        self._stream, self._data, self._at = stream, b"", 0

    def read(self, size: int) -> bytes:
        if self._at == len(self._data):
            self._data, self._at = self._stream.read(_PIECE), 0
        data = self._data[self._at : self._at + size]
        self._at += len(data)
        return data

    def give_back(self, size: int) -> None:
        """The last *size* bytes of what :meth:`read` gave last."""
        self._at -= size

    def is_padding(self) -> bool:
        """Whether nothing follows but zeros, which are read then. :class:`EOFError` for data behind zeros."""
        first = self._data[self._at : self._at + 1]
        if first and first != b"\0":
            return False
        if not first:
            self._data, self._at = self._stream.read(_PIECE), 0
            if self._data and self._data[0]:
                return False
        rest = self._data[self._at :]
        while rest:
            if rest.count(0) != len(rest):
                raise EOFError("data after its end")
            rest = self._stream.read(_PIECE)
        self._data, self._at = b"", 0
        return True


def _zstd(stream: Readable) -> Iterator[bytes]:
    import zstandard  # late: most streams are gzip

    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    inner, ended, data = decompressor.decompressobj(), True, stream.read(_PIECE // 8)
    while data:
        try:
            for start in range(0, len(data), _ZSTD_PART):
                part = data[start : start + _ZSTD_PART]
                while part:
                    piece = inner.decompress(part)
                    for begin in range(0, len(piece), _PIECE):
                        yield piece[begin : begin + _PIECE]
                    ended, part = inner.eof, inner.unused_data
                    if ended:
                        inner = decompressor.decompressobj()
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
        data = stream.read(_PIECE // 8)
    if not ended:
        raise EOFError("it is cut off")


_PIECES: dict[str, Callable[[Readable], Iterator[bytes]]] = {
    "plain": _plain,
    "gzip": _members(_Gzip),
    "xz": _members(lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
    "bzip2": _members(bz2.BZ2Decompressor),
    "zstd": _zstd,
}


def run_ahead(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """*pieces*, made in a thread of its own a few ahead: decompression beside hashing and writing."""
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
    stopped = threading.Event()

    def put(piece: bytes | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put(piece, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for piece in pieces:
                if not put(piece):
                    return
            put(None)
        except BaseException as error:  # handed to the thread that asked
            put(error)

    thread = threading.Thread(target=work, name="inflate", daemon=True)
    thread.start()
    try:
        while (piece := ready.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        stopped.set()
        thread.join()
