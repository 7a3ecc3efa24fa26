"""Layers as blobs: whole, the same every time, and remembered."""

from __future__ import annotations

import gzip
import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.errors import StoreError
from jupyter_containers.image import blobs, deflate
from jupyter_containers.image.blobs import (
    Compression,
    compressed,
    layer_tar,
    remember_place,
    remembered,
    remembered_places,
    write_blob,
)
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.model import Layer
from jupyter_containers.image.store import Store

UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "none": bytes,
}


@pytest.fixture
def layer(commit: Callable[..., Layer]) -> Layer:
    chance = random.Random(1)
    return commit({"noise": chance.randbytes(2_500_000), "text": b"all work and no play " * 150_000})


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_a_blob_is_whole_and_remembered(store: Store, layer: Layer, tmp_path: Path, compression: Compression) -> None:
    assert remembered(store, layer, compression) is None
    entry = write_blob(store, layer, compression, tmp_path / "blob")
    data = (tmp_path / "blob").read_bytes()
    assert (entry.digest, entry.size) == (sha256_of(data), len(data))
    assert sha256_of(UNPACK[compression](data)) == layer.diff_id
    assert remembered(store, layer, compression) == remembered(Store(store.root), layer, compression) == entry
    if compression != "none":
        assert len(data) < layer.tar_size


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_the_number_of_cores_does_not_matter(
    store: Store, layer: Layer, compression: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for cores in (1, 2, 5):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        found.add(sha256_of(b"".join(map(bytes, compressed(layer_tar(store, layer), compression)))))
    assert len(found) == 1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.one_of(st.binary(max_size=200), st.integers(0, 1 << 19)), max_size=12), st.booleans())
def test_gzip_of_anything_comes_back(parts: list[bytes | int], with_isal: bool) -> None:
    chance = random.Random(0)
    pieces = [part if isinstance(part, bytes) else chance.randbytes(part // 2) + bytes(part) for part in parts]
    with pytest.MonkeyPatch.context() as patch:
        if not with_isal:
            patch.setattr(deflate, "_find_deflate", lambda: deflate._deflate)
        assert gzip.decompress(b"".join(deflate.gzip_pieces(pieces))) == b"".join(pieces)


def test_another_library_is_another_memory(
    store: Store, layer: Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_blob(store, layer, "gzip", tmp_path / "blob")
    monkeypatch.setattr(blobs, "deflater", lambda: f"zlib {zlib.ZLIB_RUNTIME_VERSION} level 9")
    assert remembered(store, layer, "gzip") is None


def test_a_damaged_layer_makes_no_blob(store: Store, layer: Layer, tmp_path: Path) -> None:
    (layer.path / "text").write_bytes(b"ALL WORK AND NO PLAY " * 150_000)
    with pytest.raises(StoreError, match="damaged"):
        write_blob(store, layer, "gzip", tmp_path / "blob")
    assert remembered(store, layer, "gzip") is None


def test_places(store: Store) -> None:
    digest = sha256_of(b"x")
    assert remembered_places(store, digest) == ()
    for number in range(25):
        remember_place(store, digest, f"r.example/{number}")
    remember_place(store, digest, "r.example/20")
    found = remembered_places(store, digest)
    assert (len(found), found[0], found[1]) == (20, "r.example/20", "r.example/24")
    for path in (store.root / "cache/blobs").iterdir():
        path.write_bytes(b"{damaged")
    assert remembered_places(store, digest) == ()
