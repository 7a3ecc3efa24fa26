"""Writing images to files: OCI archives and layout folders (image-layout.md), and ``docker save``'s archives.

The same images give the same bytes. Layers are made anew from their trees, and checked against their diff_ids on
the way, so that a damaged store can't ship. An OCI archive holds docker's ``manifest.json``, too, so that versions of
docker which know no OCI layout load it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TypeAlias

import msgspec

from ..errors import ConflictError, InputError, StoreError
from .artifacts import EMPTY, Artifact, Attach, describe, make_artifact
from .blobs import Compression, compressed, layer_tar, make_manifest, media_type, remember_blob
from .digest import hex_of, sha256_of
from .durable import fsync_folder, full_disk_told, sync_file_system
from .model import INDEX_TYPE, MANIFEST_TYPE, Descriptor, Image, Index, Platform, encode
from .progress import Counter, Progress, quiet
from .reference import parse_reference
from .store import Store
from .tar import BLOCK, DIRECTORY, END, FILE, Member, pack, pad
from .tree import remove_tree

__all__ = ["Format", "Named", "save", "save_images"]

Format: TypeAlias = Literal["oci-archive", "oci", "docker-archive"]
"""``oci`` is a folder, the others are one tar file each."""
Named: TypeAlias = tuple[Image, tuple[str, ...]]
"""An image, and the names that it is to have in the file."""

_LARGEST_BLOB = 8**11 - 1
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_PIECE = 1 << 20
_NO_PLATFORM = Platform(architecture="unknown", os="unknown")
"""Of an artefact in an index, as BuildKit has it: no reader takes it for the image of its platform."""
_Piece = bytes | memoryview


def save(
    store: Store,
    image: Image,
    path: Path,
    *,
    reference: str = "",
    compression: Compression = "gzip",
    progress: Progress = quiet,
) -> Descriptor:
    """Write one image as an OCI archive: see :func:`save_images`. Returns the manifest's descriptor."""
    names = (reference,) if reference else ()
    return save_images(store, [(image, names)], path, compression=compression, progress=progress)[0]


def save_images(
    store: Store,
    images: Sequence[Named],
    path: Path,
    *,
    form: Format = "oci-archive",
    compression: Compression | None = None,
    attach: Attach | None = None,
    progress: Progress = quiet,
) -> tuple[Descriptor, ...]:
    """Write *images* to *path*; layers they share are written once. Returns the manifests' descriptors.

    A file is replaced when all is written; a folder must not be there yet (:class:`ConflictError`). *compression*
    None: gzip, and none in docker's archives, as docker has it. *attach* gives artefacts to write with each image.
    Progress is in bytes of uncompressed layers. Raises :class:`InputError`, :class:`StoreError`,
    :class:`~jupyter_containers.errors.OutOfSpaceError`.
    """
    if not images:
        raise InputError("no image to save was named", hint="name one or more")
    if attach is not None and form == "docker-archive":
        raise InputError("docker's archives hold images alone", hint="leave `--format` out to attach documents")
    unique = {layer.diff_id: layer for image, _ in images for layer in image.layers}
    counter = Counter("saving layers", sum(layer.tar_size for layer in unique.values()), progress)
    opened = _new_folder(path) if form == "oci" else _new_archive(path)
    with store.lease([image.digest for image, _ in images]), full_disk_told(path.parent), opened as target:
        if form == "docker-archive":
            return _write_docker(store, images, target, compression or "none", counter)
        return _write_oci(store, images, target, compression or "gzip", counter, attach or _nothing)


def _nothing(image: Image, manifest: Descriptor) -> Sequence[Artifact]:
    return ()


def _write_oci(
    store: Store,
    images: Sequence[Named],
    target: _Target,
    compression: Compression,
    counter: Counter,
    attach: Attach,
) -> tuple[Descriptor, ...]:
    target.file("oci-layout", _LAYOUT)
    target.folder("blobs")
    target.folder("blobs/sha256")
    layers: dict[str, Descriptor] = {}
    written: set[str] = set()

    def document(data: bytes) -> str:
        digest = sha256_of(data)
        if digest not in written:
            written.add(digest)
            target.file(f"blobs/sha256/{hex_of(digest)}", data)
        return digest

    entries, manifests = [], []
    for image, names in images:
        for layer in image.layers:
            if layer.diff_id not in layers:
                pieces = compressed(_counted(layer_tar(store, layer), counter), compression)
                digest, size = target.blob("blobs/sha256/", pieces)
                entry = Descriptor(media_type=media_type(compression), digest=digest, size=size)
                layers[layer.diff_id] = entry
                remember_blob(store, layer, compression, entry)
        config = store.blob_path(image.digest).read_bytes()
        document(config)
        data = make_manifest(image, len(config), layers)
        manifest = Descriptor(
            media_type=MANIFEST_TYPE, digest=document(data), size=len(data),
            platform=Platform(architecture=image.config.architecture, os=image.config.os, variant=image.config.variant),
        )  # fmt: skip
        manifests.append(manifest)
        attached = [_write_artifact(artifact, manifest, target, written) for artifact in attach(image, manifest)]
        entry = manifest
        if attached:
            # An index of its own, so that a reader that takes the only entry, or the one for its platform, finds the
            # image: artefacts beside it in index.json would be taken for other images.
            data = encode(Index(schema_version=2, manifests=(manifest, *attached)))
            entry = Descriptor(media_type=INDEX_TYPE, digest=document(data), size=len(data))
        entries += [
            msgspec.structs.replace(entry, annotations={"org.opencontainers.image.ref.name": name} if name else {})
            for name in names or ("",)
        ]
    target.file("index.json", encode(Index(schema_version=2, manifests=tuple(entries))))
    blobs = {diff_id: f"blobs/sha256/{hex_of(entry.digest)}" for diff_id, entry in layers.items()}
    target.file("manifest.json", _docker_manifest(images, "blobs/sha256/{}", blobs))
    return tuple(manifests)


def _write_artifact(artifact: Artifact, subject: Descriptor, target: _Target, written: set[str]) -> Descriptor:
    """Its parts and its manifest; returns the entry that it has in an index."""
    parts = [describe(part) for part in artifact.parts]
    entry, data = make_artifact(artifact, subject, parts)
    contents = {part.digest: given.content for part, given in zip(parts, artifact.parts, strict=True)}
    for digest, content in {sha256_of(EMPTY): EMPTY, **contents, entry.digest: data}.items():
        if digest in written:
            continue
        written.add(digest)
        name = f"blobs/sha256/{hex_of(digest)}"
        if isinstance(content, bytes):
            target.file(name, content)
        elif target.blob("blobs/sha256/", _pieces(content)) != (digest, content.stat().st_size):
            raise StoreError(f"{content} was changed while it was written", hint="do it again")
    return msgspec.structs.replace(entry, platform=_NO_PLATFORM)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _write_docker(
    store: Store, images: Sequence[Named], target: _Target, compression: Compression, counter: Counter
) -> tuple[Descriptor, ...]:
    """moby, ``image/tarexport``: what `docker load` of every version reads. Layers are called by their diff_ids."""
    blobs: dict[str, str] = {}
    layers: dict[str, Descriptor] = {}
    manifests, configs = [], set()
    for image, _ in images:
        for layer in image.layers:
            if layer.diff_id not in blobs:
                pieces = compressed(_counted(layer_tar(store, layer), counter), compression)
                blobs[layer.diff_id] = f"{hex_of(layer.diff_id)}.tar"
                digest, size = target.blob("", pieces, name=blobs[layer.diff_id])
                layers[layer.diff_id] = Descriptor(media_type=media_type(compression), digest=digest, size=size)
        config = store.blob_path(image.digest).read_bytes()
        if image.digest not in configs:
            configs.add(image.digest)
            target.file(f"{hex_of(image.digest)}.json", config)
        data = make_manifest(image, len(config), layers)
        manifests.append(Descriptor(media_type=MANIFEST_TYPE, digest=sha256_of(data), size=len(data)))
    target.file("manifest.json", _docker_manifest(images, "{}.json", blobs))
    return tuple(manifests)


def _docker_manifest(images: Sequence[Named], config: str, blobs: dict[str, str]) -> bytes:
    return msgspec.json.encode(
        [
            {
                "Config": config.format(hex_of(image.digest)),
                "RepoTags": [name for name in names if name and not parse_reference(name).digest],
                "Layers": [blobs[layer.diff_id] for layer in image.layers],
            }
            for image, names in images
        ]
    )


def _counted(pieces: Iterator[_Piece], counter: Counter) -> Iterator[_Piece]:
    for piece in pieces:
        yield piece
        counter.add(len(piece))


class _Target(Protocol):
    """What is written to: a tar or a folder."""

    def folder(self, name: str) -> None: ...

    def file(self, name: str, data: bytes) -> None: ...

    def blob(self, prefix: str, pieces: Iterator[_Piece], *, name: str = "") -> tuple[str, int]:
        """A file called *name*, or by its digest's digits after *prefix*; returns digest and size."""


class _Tar:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def folder(self, name: str) -> None:
        self._stream.write(pack(Member(name.encode(), DIRECTORY, 0o755, 0)))

    def file(self, name: str, data: bytes) -> None:
        self._stream.write(pack(Member(name.encode(), FILE, 0o644, 0, size=len(data))) + data + pad(len(data)))

    def blob(self, prefix: str, pieces: Iterator[_Piece], *, name: str = "") -> tuple[str, int]:
        """Its name and size are known when it is written: its header is filled in afterwards."""
        stream = self._stream
        start = stream.tell()
        stream.write(bytes(BLOCK))
        digest, size = _write_hashed(stream, pieces)
        if size > _LARGEST_BLOB:
            raise StoreError(
                f"a layer of {size} bytes is more than the {_LARGEST_BLOB} that one file of a tar can have",
                hint="save to a folder: `--format oci`",
            )
        stream.write(pad(size))
        end = stream.tell()
        stream.seek(start)
        stream.write(pack(Member((name or prefix + hex_of(digest)).encode(), FILE, 0o644, 0, size=size)))
        stream.seek(end)
        return digest, size


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def folder(self, name: str) -> None:
        (self._path / name).mkdir(mode=0o755)

    def file(self, name: str, data: bytes) -> None:
        (self._path / name).write_bytes(data)

    def blob(self, prefix: str, pieces: Iterator[_Piece], *, name: str = "") -> tuple[str, int]:
        unfinished = self._path / ".unfinished"
        with unfinished.open("xb") as stream:
            digest, size = _write_hashed(stream, pieces)
        unfinished.rename(self._path / (name or prefix + hex_of(digest)))
        return digest, size


def _write_hashed(stream: BinaryIO, pieces: Iterator[_Piece]) -> tuple[str, int]:
    state, size = sha256(), 0
    for piece in pieces:
        state.update(piece)
        size += len(piece)
        stream.write(piece)
    return f"sha256:{state.hexdigest()}", size


@contextmanager
def _new_archive(path: Path) -> Iterator[_Target]:
    """A tar that becomes *path* when all is written."""
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as stream:
            yield _Tar(stream)
            stream.write(END)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


@contextmanager
def _new_folder(path: Path) -> Iterator[_Target]:
    """A folder that becomes *path* when all is written."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConflictError(f"{path} is there already, and not an empty folder", hint="remove it, or take another name")
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    temporary.mkdir()
    try:
        yield _Folder(temporary)
        sync_file_system(temporary)
        temporary.replace(path)
    except BaseException:
        remove_tree(temporary)
        raise
    fsync_folder(path.parent)
