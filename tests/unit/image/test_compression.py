"""Decompression: every format, cut off, damaged, and bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import UntrustedContentError
from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.compression import compression_of, inflate, run_ahead
from jupyter_containers.image.deflate import gzip_pieces

PACK = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "plain": lambda data: data,
}
DATA = random.Random(7).randbytes(100_000) + b"text " * 500_000


def inflated(data: bytes, name: str, bounds: Bounds | None = None) -> bytes:
    pieces = list(inflate(io.BytesIO(data), name, what="the stream", bounds=bounds or Bounds()))
    assert all(0 < len(piece) <= 1 << 20 for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize("name", PACK)
def test_what_was_compressed_comes_back(name: str) -> None:
    packed = PACK[name](DATA)
    assert compression_of(packed[:6]) == name
    assert inflated(packed, name) == DATA


@pytest.mark.parametrize("name", ["gzip", "zstd", "xz", "bzip2"])
def test_several_streams_in_one_file_are_one(name: str) -> None:
    assert inflated(PACK[name](b"one") + PACK[name](b"two"), name) == b"onetwo"


@pytest.mark.parametrize("name", ["gzip", "zstd", "xz", "bzip2"])
@pytest.mark.parametrize("cut", [1, 10, 50_000])
def test_cut_off_streams_are_refused(name: str, cut: int) -> None:
    with pytest.raises(UntrustedContentError, match=f"the stream: not a whole {name} stream"):
        inflated(PACK[name](DATA)[:-cut], name)


@pytest.mark.parametrize("name", ["gzip", "zstd", "xz", "bzip2"])
def test_damaged_streams_are_refused(name: str) -> None:
    packed = bytearray(PACK[name](DATA))
    packed[len(packed) // 2] ^= 0xFF
    packed[-3] ^= 0xFF
    with pytest.raises(UntrustedContentError, match="the stream"):
        inflated(bytes(packed), name)


def test_padding_after_gzip_is_allowed_and_data_is_not() -> None:
    packed = PACK["gzip"](b"x")
    assert inflated(packed + bytes(3_000_000), "gzip") == b"x"
    for tail in (b"junk", bytes(3_000_000) + b"junk"):
        with pytest.raises(UntrustedContentError):
            inflated(packed + tail, "gzip")


@pytest.mark.parametrize("name", ["gzip", "zstd", "xz", "bzip2"])
def test_bombs_are_stopped_early(name: str) -> None:
    bomb = PACK[name](bytes(64 << 20))
    produced = 0
    with pytest.raises(UntrustedContentError, match="bomb"):
        for piece in inflate(io.BytesIO(bomb), name, what="bomb", bounds=Bounds(ratio_from=8 << 20)):
            produced += len(piece)
    assert produced <= max(8 << 20, 300 * len(bomb)) + (1 << 20)
    with pytest.raises(UntrustedContentError, match="more than 1000 bytes"):
        inflated(bomb, name, Bounds(size=1000))


def test_zstd_with_a_huge_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=29)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = compressor.compress(b"x" * 1000) + compressor.flush()
    with pytest.raises(UntrustedContentError):
        inflated(packed, "zstd")


def test_running_ahead_hands_errors_on_and_can_be_left() -> None:
    def pieces() -> object:
        yield b"1"
        raise UntrustedContentError("told")

    ahead = run_ahead(pieces())  # type: ignore[arg-type]
    assert next(ahead) == b"1"
    with pytest.raises(UntrustedContentError, match="told"):
        next(ahead)
    left = run_ahead(iter([b"x"] * 1000))
    assert next(left) == b"x"
    left.close()


@given(st.lists(st.binary(max_size=3000), max_size=20), st.integers(1, 400))
def test_gzip_of_pieces(pieces: list[bytes], factor: int) -> None:
    data = [piece * factor for piece in pieces]
    packed = b"".join(gzip_pieces(data))
    assert gzip.decompress(packed) == b"".join(data)
    # However the input is cut.
    assert b"".join(gzip_pieces([b"".join(data)])) == packed


def test_gzip_uses_what_came_before() -> None:
    block = random.Random(1).randbytes(20_000)
    data = block + bytes((1 << 20) - 20_000 - 10_000) + block * 2
    packed = b"".join(gzip_pieces([data]))
    assert zlib.decompress(packed, 31) == data
