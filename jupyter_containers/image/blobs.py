"""Layers as blobs: compressed, the same bytes for the same layer, and what is remembered of them.

No blob is kept: it is made from the layer when it is needed. What is kept of each is its digest and size, so that a
registry can be asked for it before it is made, and which repositories were seen to have it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import msgspec

from ..errors import StoreError
from .copies import tree_tar
from .deflate import deflater, gzip_pieces
from .durable import write_atomically
from .model import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE, Descriptor, Image, Layer, Manifest, encode
from .store import Store

__all__ = [
    "Compression", "compressed", "layer_tar", "make_manifest", "media_type", "remember_blob", "remember_place",
    "remembered", "remembered_places", "write_blob",
]  # fmt: skip

Compression: TypeAlias = Literal["gzip", "zstd", "none"]
"""Every engine reads gzip; zstd is smaller and quicker, and read by docker since 23, podman, containerd, skopeo."""

_ZSTD_LEVEL = 3
_MOST_PLACES = 20
_Piece = bytes | memoryview


_T = TypeVar("_T", bound=msgspec.Struct)


class _Places(msgspec.Struct, frozen=True):
    places: tuple[str, ...] = ()


def layer_tar(store: Store, layer: Layer) -> Iterator[_Piece]:
    """The layer's uncompressed tar in pieces, each valid until the next; its sha256 is the diff_id.

    Raises :class:`StoreError` at the end where it is not: the store is damaged.
    """
    record = store.layer_record(layer.diff_id)
    recipe = store.recipe_path(layer.diff_id) if record.recipe else None
    state = sha256()
    for piece in tree_tar(layer.path, record.facts, recipe):
        state.update(piece)
        yield piece
    if f"sha256:{state.hexdigest()}" != layer.diff_id:
        raise StoreError(
            f"layer {layer.diff_id} ({layer.created_by}) is damaged: what is on disk has another hash",
            hint="run `jupyter-containers verify --repair`, then build or load the image again",
        )


def media_type(compression: Compression) -> str:
    """Of a layer's blob (image-spec, layer.md)."""
    return LAYER_TYPE if compression == "none" else f"{LAYER_TYPE}+{compression}"


def compressed(pieces: Iterator[_Piece], compression: Compression) -> Iterator[_Piece]:
    """The blob of a tar's *pieces*; like them, each is valid until the next."""
    if compression == "gzip":
        return gzip_pieces(pieces)
    return _zstd_pieces(pieces) if compression == "zstd" else pieces


def _zstd_pieces(pieces: Iterator[_Piece]) -> Iterator[bytes]:
    import zstandard  # late: gzip is the rule

    # With one worker or more the bytes do not depend on how many there are; with none they would.
    threads = min(len(os.sched_getaffinity(0)), 8)
    parameters = zstandard.ZstdCompressionParameters.from_level(_ZSTD_LEVEL, threads=threads, write_checksum=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    for piece in pieces:
        if part := compressor.compress(bytes(piece)):
            yield part
    yield compressor.flush()


def write_blob(store: Store, layer: Layer, compression: Compression, target: Path) -> Descriptor:
    """Make the layer's blob in the new file *target*. Raises :class:`StoreError` where the layer is damaged."""
    state, size = sha256(), 0
    with target.open("xb") as stream:
        for part in compressed(layer_tar(store, layer), compression):
            state.update(part)
            size += len(part)
            stream.write(part)
    entry = Descriptor(media_type=media_type(compression), digest=f"sha256:{state.hexdigest()}", size=size)
    remember_blob(store, layer, compression, entry)
    return entry


def make_manifest(image: Image, config_size: int, layers: dict[str, Descriptor]) -> bytes:
    """The manifest of *image* with its layers' blobs by diff_id: the same bytes, saved or pushed."""
    config = Descriptor(media_type=CONFIG_TYPE, digest=image.digest, size=config_size)
    return encode(
        Manifest(
            schema_version=2,
            media_type=MANIFEST_TYPE,
            config=config,
            layers=tuple(layers[layer.diff_id] for layer in image.layers),
        )
    )


# What is remembered


def remembered(store: Store, layer: Layer, compression: Compression) -> Descriptor | None:
    """The blob that :func:`write_blob` would make, where it was made before by the same libraries."""
    return _read(_blob_file(store, layer, compression), Descriptor)


def remember_blob(store: Store, layer: Layer, compression: Compression, entry: Descriptor) -> None:
    write_atomically(_blob_file(store, layer, compression), msgspec.json.encode(entry))


def remembered_places(store: Store, digest: str) -> tuple[str, ...]:
    """Repositories (``registry/name``) that had the blob *digest* when it was last pushed or pulled, newest first."""
    found = _read(_place_file(store, digest), _Places)
    return found.places if found is not None else ()


def remember_place(store: Store, digest: str, place: str) -> None:
    """Two that do so at once may forget one of the two: then a blob is sent that need not be."""
    known = remembered_places(store, digest)
    if known[:1] != (place,):
        places = (place, *(other for other in known if other != place))[:_MOST_PLACES]
        write_atomically(_place_file(store, digest), msgspec.json.encode(_Places(places)))


def _blob_file(store: Store, layer: Layer, compression: Compression) -> Path:
    # Another library may give other bytes for the same tar.
    maker = deflater()
    if compression == "zstd":
        import zstandard

        maker = ".".join(map(str, zstandard.ZSTD_VERSION))
    return _file(store, f"blob {layer.diff_id} {compression} {maker}")


def _place_file(store: Store, digest: str) -> Path:
    return _file(store, f"places {digest}")


def _file(store: Store, key: str) -> Path:
    return store.cache_dir("blobs") / f"{sha256(key.encode()).hexdigest()[:40]}.json"


def _read(path: Path, kind: type[_T]) -> _T | None:
    """What is damaged is forgotten."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None
