"""Archives that ADD unpacks: tars, plain or compressed with gzip, bzip2, xz or zstd, through the hardened reader."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...errors import UntrustedContentError
from ...image.bounds import DEFAULT_BOUNDS
from ...image.compression import Readable, compression_of, inflate
from ...image.unpack import unpack
from .sources import open_regular

__all__ = ["is_archive", "unpack_archive"]

_BLOCK = 512


def is_archive(file: Path) -> bool:
    """Whether *file* is a tar, whatever its name: its first block, uncompressed, is a header whose sum is right."""
    try:
        with open_regular(file) as stream:
            block = _first_block(stream)
    except (OSError, UntrustedContentError):
        return False  # a link, or a compressed file that is none: it is copied as it is
    if len(block) < _BLOCK or not block.strip(b"\0"):
        return False
    digits = block[148:156].strip(b" \0")
    if not digits or any(byte not in b"01234567" for byte in digits):
        return False
    return int(digits, 8) == sum(block) - sum(block[148:156]) + 8 * 0x20


def unpack_archive(stream: Readable, folder: Path, *, what: str) -> Mapping[str, int]:
    """Unpack into the empty *folder*, which lies in the store; returns the true modes that differ from those on disk.

    Raises :class:`UntrustedContentError` and :class:`~jupyter_containers.errors.OutOfSpaceError`.
    """
    pieces = _inflated(stream, what)
    return unpack(_Pieces(pieces), folder, what=what, bounds=DEFAULT_BOUNDS, whiteouts=False).facts.modes


def _inflated(stream: Readable, what: str) -> Iterator[bytes]:
    head = stream.read(6)
    return inflate(_Joined(head, stream), compression_of(head), what=what, bounds=DEFAULT_BOUNDS)


def _first_block(stream: Readable) -> bytes:
    block = b""
    for piece in _inflated(stream, "the file"):
        block += piece
        if len(block) >= _BLOCK:
            break
    return block[:_BLOCK]


class _Joined:
    """A stream, with what was read of it put back."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = io.BytesIO(head), rest

    def read(self, size: int, /) -> bytes:
        return self._head.read(size) or self._rest.read(size)


class _Pieces:
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._waiting = pieces, b""

    def read(self, size: int, /) -> bytes:
        if not self._waiting:
            self._waiting = next(self._pieces, b"")
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data
