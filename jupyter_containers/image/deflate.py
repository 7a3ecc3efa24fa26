"""gzip on all cores, the same bytes for the same input however many there are (RFC 1951, RFC 1952).

The input is cut into blocks of 1 MiB; each is deflated by itself, with the 32 KiB before it as its dictionary, and
ends on a byte's border, so that the parts joined are one deflate stream. It is pigz's method.

ISA-L deflates seven times as fast as zlib at level 4, for 7 % more bytes (measured on libraries and Python sources). It
comes with this package for x86-64 and arm64; elsewhere zlib does it. The two give different bytes, so who remembers
what a blob was asks :func:`deflater`.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["deflater", "gzip_pieces"]

_BLOCK = 1 << 20
_WINDOW = 32 << 10
_ISAL_LEVEL = 2
_ZLIB_LEVEL = 4
"""Half the time of 6 for 3 % more bytes, measured on a Debian root."""
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""No name, time 0, unknown system."""
_LAST_BLOCK = b"\x03\x00"
"""An empty block with the final bit."""


def gzip_pieces(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """One gzip member with all of *pieces*, each of which need be valid only until the next is asked for."""
    workers = min(len(os.sched_getaffinity(0)), 8)
    deflate = _find_deflate()
    yield _HEADER
    checksum = size = 0
    dictionary = b""
    with ThreadPoolExecutor(workers, thread_name_prefix="gzip") as pool:
        waiting: deque[Future[bytes]] = deque()
        try:
            for block in _blocks(pieces):
                waiting.append(pool.submit(deflate, block, dictionary))
                checksum = zlib.crc32(block, checksum)
                size += len(block)
                dictionary = block[-_WINDOW:]
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
    yield _LAST_BLOCK + checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def _blocks(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    collected = bytearray()
    for piece in pieces:
        collected += piece
        while len(collected) >= _BLOCK:
            yield bytes(collected[:_BLOCK])
            del collected[:_BLOCK]
    if collected:
        yield bytes(collected)


def deflater() -> str:
    """What makes the bytes: a library, its version and level."""
    try:
        import isal
    except ImportError:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION} level {_ZLIB_LEVEL}"
    return f"isal {isal.__version__} level {_ISAL_LEVEL}"


def _find_deflate() -> Callable[[bytes, bytes], bytes]:
    try:
        from isal import isal_zlib  # late: only who compresses needs it
    except ImportError:
        return _deflate

    def deflate(block: bytes, dictionary: bytes) -> bytes:
        inner = isal_zlib.compressobj(_ISAL_LEVEL, wbits=-15, zdict=dictionary)
        return inner.compress(block) + inner.flush(isal_zlib.Z_SYNC_FLUSH)

    return deflate


def _deflate(block: bytes, dictionary: bytes) -> bytes:
    inner = zlib.compressobj(_ZLIB_LEVEL, wbits=-15, zdict=dictionary)
    return inner.compress(block) + inner.flush(zlib.Z_SYNC_FLUSH)
