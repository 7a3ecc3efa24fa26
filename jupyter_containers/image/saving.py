"""Writing an image as an OCI archive: one tar with ``oci-layout``, ``index.json`` and ``blobs/`` (image-layout.md),
and a ``manifest.json`` for older versions of docker.

The same image gives the same bytes. Layers are made anew from their trees, and checked against their diff_ids on
the way, so that a damaged store can't ship.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from ..errors import StoreError
from .deflate import gzip_pieces
from .digest import hex_of, sha256_of
from .durable import fsync_folder, full_disk_told
from .layer import stream_tar, tar_items
from .model import (
    CONFIG_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    Image,
    Index,
    Layer,
    Manifest,
    Platform,
    encode,
)
from .progress import Progress, quiet
from .recipe import replay
from .store import Store
from .tar import BLOCK, DIRECTORY, END, FILE, Member, pack, pad

__all__ = ["layer_tar", "save"]

_LARGEST_BLOB = 8**11 - 1
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_Piece = bytes | memoryview


def layer_tar(store: Store, layer: Layer) -> Iterator[_Piece]:
    """The layer's uncompressed tar in pieces, each valid until the next; its sha256 is the diff_id.

    Raises :class:`StoreError` at the end where it is not: the store is damaged.
    """
    record = store.layer_record(layer.diff_id)
    pieces: Iterator[_Piece]
    if record.recipe:
        pieces = replay(store.root / "layers" / f"{record.id}.recipe", layer.path)
    else:
        pieces = stream_tar(tar_items(os.fsencode(layer.path), record.facts))
    state = sha256()
    for piece in pieces:
        state.update(piece)
        yield piece
    if f"sha256:{state.hexdigest()}" != layer.diff_id:
        raise StoreError(
            f"layer {layer.diff_id} ({layer.created_by}) is damaged: what is on disk has another hash",
            hint="run `jupyter-containers verify --repair`, then build or load the image again",
        )


def save(
    store: Store,
    image: Image,
    path: Path,
    *,
    reference: str = "",
    compression: Literal["gzip", "none"] = "gzip",
    progress: Progress = quiet,
) -> Descriptor:
    """Write *image* to the file *path*, which is replaced when all is written. Returns the manifest's descriptor.

    *reference* names it in the index. Progress is in bytes of uncompressed layers.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    with store.lease([image.digest]), full_disk_told(path.parent):
        try:
            with temporary.open("xb") as stream:
                manifest = _write(store, image, _Writer(stream), reference, compression, progress)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    fsync_folder(path.parent)
    return manifest


def _write(
    store: Store, image: Image, writer: _Writer, reference: str, compression: str, progress: Progress
) -> Descriptor:
    writer.file("oci-layout", _LAYOUT)
    writer.folder("blobs")
    writer.folder("blobs/sha256")
    total = sum(layer.tar_size for layer in image.layers)
    done = 0
    descriptors: dict[str, Descriptor] = {}
    for layer in image.layers:
        if layer.diff_id not in descriptors:
            pieces = _counted(layer_tar(store, layer), done, total, progress)
            descriptors[layer.diff_id] = writer.layer(pieces, compression)
        done += layer.tar_size
    config = store.blob_path(image.digest).read_bytes()
    manifest = encode(
        Manifest(
            schema_version=2,
            config=writer.document(config, CONFIG_TYPE),
            layers=tuple(descriptors[layer.diff_id] for layer in image.layers),
        )
    )
    entry = writer.document(manifest, MANIFEST_TYPE)
    named = Descriptor(
        media_type=entry.media_type, digest=entry.digest, size=entry.size,
        annotations={"org.opencontainers.image.ref.name": reference} if reference else {},
        platform=Platform(architecture=image.config.architecture, os=image.config.os, variant=image.config.variant),
    )  # fmt: skip
    writer.file("index.json", encode(Index(schema_version=2, manifests=(named,))))
    writer.file(
        "manifest.json",
        _docker_manifest(image, [descriptors[layer.diff_id] for layer in image.layers], reference),
    )
    writer.end()
    return named


def _docker_manifest(image: Image, layers: Sequence[Descriptor], reference: str) -> bytes:
    """What `docker load` reads where it knows no OCI layout (before version 25); newer ones write it, too."""
    entry = {
        "Config": f"blobs/sha256/{hex_of(image.digest)}",
        "Layers": [f"blobs/sha256/{hex_of(layer.digest)}" for layer in layers],
        "RepoTags": [reference] if reference else [],
    }
    return msgspec.json.encode([entry])


def _counted(pieces: Iterator[_Piece], done: int, total: int, progress: Progress) -> Iterator[_Piece]:
    for piece in pieces:
        yield piece
        done += len(piece)
        progress("saving layers", done, total)


@dataclass(slots=True)
class _Writer:
    """The archive as it is written."""

    stream: BinaryIO

    def folder(self, name: str) -> None:
        self.stream.write(pack(Member(name.encode(), DIRECTORY, 0o755, 0)))

    def file(self, name: str, data: bytes) -> None:
        self.stream.write(pack(Member(name.encode(), FILE, 0o644, 0, size=len(data))) + data + pad(len(data)))

    def document(self, data: bytes, media_type: str) -> Descriptor:
        digest = sha256_of(data)
        self.file(f"blobs/sha256/{hex_of(digest)}", data)
        return Descriptor(media_type=media_type, digest=digest, size=len(data))

    def layer(self, pieces: Iterator[_Piece], compression: str) -> Descriptor:
        """A blob whose name and size are known when it is written: its header is filled in afterwards."""
        start = self.stream.tell()
        self.stream.write(bytes(BLOCK))
        state, size = sha256(), 0
        for part in gzip_pieces(pieces) if compression == "gzip" else pieces:
            state.update(part)
            size += len(part)
            self.stream.write(part)
        if size > _LARGEST_BLOB:
            raise StoreError(
                f"a layer of {size} bytes is more than the {_LARGEST_BLOB} that one file of a tar can have"
            )
        self.stream.write(pad(size))
        end = self.stream.tell()
        self.stream.seek(start)
        self.stream.write(
            pack(Member(f"blobs/sha256/{state.hexdigest()}".encode(), FILE, 0o644, 0, size=size))
        )
        self.stream.seek(end)
        media_type = f"{LAYER_TYPE}+gzip" if compression == "gzip" else LAYER_TYPE
        return Descriptor(media_type=media_type, digest=f"sha256:{state.hexdigest()}", size=size)

    def end(self) -> None:
        self.stream.write(END)
