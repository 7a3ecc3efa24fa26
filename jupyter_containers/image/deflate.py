"""gzip on all cores, the same bytes for the same input however many there are (RFC 1951, RFC 1952).

The input is cut into blocks of 1 MiB; each is deflated by itself, with the 32 KiB before it as its dictionary, and
ends on a byte's border, so that the parts joined are one deflate stream. It is pigz's method.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["gzip_pieces"]

_BLOCK = 1 << 20
_WINDOW = 32 << 10
_LEVEL = 4
"""Half the time of 6 for 3 % more bytes, measured on a Debian root."""
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""No name, time 0, unknown system."""
_LAST_BLOCK = b"\x03\x00"
"""An empty block with the final bit."""


def gzip_pieces(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """One gzip member with all of *pieces*, each of which need be valid only until the next is asked for."""
    workers = min(len(os.sched_getaffinity(0)), 8)
    yield _HEADER
    checksum = size = 0
    dictionary = b""
    with ThreadPoolExecutor(workers, thread_name_prefix="gzip") as pool:
        waiting: deque[Future[bytes]] = deque()
        try:
            for block in _blocks(pieces):
                waiting.append(pool.submit(_deflate, block, dictionary))
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


def _deflate(block: bytes, dictionary: bytes) -> bytes:
    deflate = zlib.compressobj(_LEVEL, wbits=-15, zdict=dictionary)
    return deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
