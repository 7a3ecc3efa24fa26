"""Images in files: loading OCI archives, OCI layout folders and ``docker save``'s archives; see :mod:`.saving`.

Every document is held to its descriptor's size and digest before it is parsed; indexes may nest a little; layers
are held to their blobs' digests and to the config's diff_ids. Nothing is fetched: ``urls`` are never looked at.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from ..errors import UntrustedContentError
from .archive import Archive, open_archive
from .bounds import DEFAULT_BOUNDS, Bounds
from .digest import hex_of, is_digest, sha256_of
from .foreign import CheckedBlob, load_layer, load_root
from .model import (
    CONFIG_TYPE,
    DOCKER_LIST_TYPE,
    DOCKER_MANIFEST_TYPE,
    INDEX_TYPE,
    LONGEST_DOCUMENT,
    MANIFEST_TYPE,
    Descriptor,
    Image,
    ImageConfig,
    Index,
    Layer,
    Manifest,
    decode,
)  # fmt: skip
from .progress import Progress, quiet
from .saving import save
from .store import Store

__all__ = [
    "INDEX_TYPES", "MANIFEST_TYPES", "Plan", "check_plan", "host_architecture", "load", "load_root", "plan_entry",
    "read_image_config", "save",
]  # fmt: skip

INDEX_TYPES = (INDEX_TYPE, DOCKER_LIST_TYPE)
MANIFEST_TYPES = (MANIFEST_TYPE, DOCKER_MANIFEST_TYPE)
_CONFIG_TYPES = (CONFIG_TYPE, "application/vnd.docker.container.image.v1+json")
_LAYER_COMPRESSION = {
    "application/vnd.oci.image.layer.v1.tar": "plain",
    "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "plain",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
}
_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
"""Annotations of an index's entry that name it."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "ppc64le": "ppc64le"}
_DOCKER_CONFIG = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?")


class _DockerEntry(msgspec.Struct, frozen=True, rename="pascal"):
    """Of ``manifest.json`` in an archive by ``docker save`` (moby, image/tarexport)."""

    config: str
    layers: tuple[str, ...]
    repo_tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """An image in an archive: its documents are read and checked, its layers not yet."""

    document: bytes
    config: ImageConfig
    layers: tuple[tuple[str, Descriptor | None, str], ...]
    """Each one's file in the archive, its blob's descriptor, and the compression it must have (empty: any)."""
    manifest: Descriptor | None = None
    manifest_document: bytes = b""


def host_architecture() -> str:
    """This machine's architecture in OCI's (Go's) terms: ``amd64``, ``arm64`` …"""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def load(
    store: Store,
    path: Path,
    *,
    name: str = "",
    architecture: str = "",
    bounds: Bounds = DEFAULT_BOUNDS,
    progress: Progress = quiet,
) -> Image:
    """Take the image in the file or folder *path* into the store; it gets no reference.

    *name* chooses among several (an annotation, tag or digest), *architecture* (default: the host's) in an index of
    platforms. Raises :class:`~jupyter_containers.errors.NotFoundError` for the file, :class:`UntrustedContentError`
    and :class:`~jupyter_containers.errors.OutOfSpaceError`; layers that were whole by then go with the next collection.
    """
    with store.lease(), _planned(store, path, name, architecture, bounds) as (archive, plan):
        layers: list[Layer] = []
        texts = [entry.created_by for entry in plan.config.history or () if not entry.empty_layer]
        diff_ids = plan.config.rootfs.diff_ids
        for number, (file, descriptor, compression) in enumerate(plan.layers):
            progress("loading layers", number, len(diff_ids))
            with archive.open(file) as (stream, _):
                layer = load_layer(
                    store, stream, diff_ids[number], what=f"{archive.what}, layer {number + 1}",
                    created_by=texts[number] if number < len(texts) else "", descriptor=descriptor,
                    compression=compression, bounds=bounds,
                )  # fmt: skip
            layers.append(layer)
        progress("loading layers", len(diff_ids), len(diff_ids))
        return store.put_document(
            plan.document, layers, manifest=plan.manifest, manifest_document=plan.manifest_document
        )


def read_image_config(
    store: Store, path: Path, *, name: str = "", architecture: str = "", bounds: Bounds = DEFAULT_BOUNDS
) -> tuple[str, ImageConfig]:
    """The digest that :func:`load` would give the image, and its config; no layer is read."""
    with _planned(store, path, name, architecture, bounds) as (_, plan):
        return sha256_of(plan.document), plan.config


@contextmanager
def _planned(
    store: Store, path: Path, name: str, architecture: str, bounds: Bounds
) -> Iterator[tuple[Archive, Plan]]:
    with store.staging() as staging, open_archive(path, scratch=staging.path, bounds=bounds) as archive:
        if archive.has("index.json"):
            plan = _plan_oci(archive, name, architecture or host_architecture(), bounds)
        elif archive.has("manifest.json"):
            plan = _plan_docker(archive, name)
        else:
            raise UntrustedContentError(
                f"{path}: neither an OCI layout (index.json) nor a docker archive (manifest.json)",
                hint="make one with `skopeo copy … oci-archive:FILE` or `docker save -o FILE`; "
                'for a root file system\'s tar use `base = "scratch"` with it',
            )
        check_plan(plan, archive.what, bounds)
        yield archive, plan


def _plan_oci(archive: Archive, name: str, architecture: str, bounds: Bounds) -> Plan:
    index = decode(_read_file(archive, "index.json"), Index, what=f"{archive.what}, index.json")
    entry = _choose(index, archive.what, name, architecture)
    return plan_entry(entry, partial(_read_blob, archive), what=archive.what, architecture=architecture, bounds=bounds)


def plan_entry(
    entry: Descriptor, read: Callable[[Descriptor], bytes], *, what: str, architecture: str, bounds: Bounds
) -> Plan:
    """From a manifest's or an index's descriptor to the image for *architecture* (``arm64``, ``arm/v7``).

    *read* gives a document that has the size and digest of its descriptor, wherever it comes from; *what* names the
    place in errors. Raises :class:`UntrustedContentError`.
    """
    for _ in range(bounds.manifest_depth):
        if entry.media_type in MANIFEST_TYPES:
            return _plan_manifest(entry, read, what)
        if entry.media_type not in INDEX_TYPES:
            raise UntrustedContentError(f"{what}: {entry.media_type!r} is no image's media type")
        index = decode(read(entry), Index, what=f"{what}, index {entry.digest}")
        _check_type(index.media_type, entry, what)
        entry = _choose(index, what, "", architecture)
    raise UntrustedContentError(f"{what}: indexes nested more than {bounds.manifest_depth} deep")


def _choose(index: Index, what: str, name: str, architecture: str) -> Descriptor:
    """The one entry that is meant."""
    entries = index.manifests
    processor, _, variant = architecture.partition("/")
    if name:
        entries = tuple(
            entry
            for entry in entries
            if name == entry.digest or any(_is_named(entry.annotations.get(key, ""), name) for key in _NAMES)
        )
    if len(entries) > 1:
        entries = tuple(
            entry
            for entry in entries
            if entry.platform
            and entry.platform.os == "linux"
            and entry.platform.architecture == processor
            and variant in ("", entry.platform.variant)
        )
    if entries and len({entry.digest for entry in entries}) == 1:
        return entries[0]
    held = ", ".join(_label(entry) for entry in index.manifests[:20]) or "nothing"
    wanted = f"named {name!r}" if name else f"for linux/{architecture}"
    raise UntrustedContentError(
        f"{what}: {'several images' if entries else 'no image'} {wanted} (it holds {held})",
        hint="name the one you want, by its tag or digest",
    )


def _is_named(annotation: str, name: str) -> bool:
    return annotation == name or annotation.endswith(f":{name}")


def _label(entry: Descriptor) -> str:
    name = next((entry.annotations[key] for key in _NAMES if key in entry.annotations), entry.digest[:19])
    return f"{name} ({entry.platform.os}/{entry.platform.architecture})" if entry.platform else name


def _plan_manifest(entry: Descriptor, read: Callable[[Descriptor], bytes], where: str) -> Plan:
    what = f"{where}, manifest {entry.digest}"
    document = read(entry)
    manifest = decode(document, Manifest, what=what)
    _check_type(manifest.media_type, entry, where)
    if manifest.schema_version != 2:
        raise UntrustedContentError(f"{what}: schema version {manifest.schema_version} is not 2")
    if manifest.config.media_type not in _CONFIG_TYPES:
        raise UntrustedContentError(
            f"{what}: its config is {manifest.config.media_type!r}, so it is no image"
        )
    config = read(manifest.config)
    layers = []
    for layer in manifest.layers:
        if layer.media_type not in _LAYER_COMPRESSION:
            raise UntrustedContentError(f"{what}: a layer of the media type {layer.media_type!r}")
        layers.append((_blob_name(layer, where), layer, _LAYER_COMPRESSION[layer.media_type]))
    return Plan(
        config, decode(config, ImageConfig, what=f"{where}, config {manifest.config.digest}"), tuple(layers),
        msgspec.structs.replace(entry, annotations={}), document,
    )  # fmt: skip


def _plan_docker(archive: Archive, name: str) -> Plan:
    what = f"{archive.what}, manifest.json"
    entries = decode(_read_file(archive, "manifest.json"), tuple[_DockerEntry, ...], what=what)
    if name:
        entries = tuple(
            entry
            for entry in entries
            if any(_is_named(tag, name) or tag == f"{name}:latest" for tag in entry.repo_tags or ())
        )
    if len(entries) != 1:
        raise UntrustedContentError(
            f"{what}: {len(entries)} images{f' named {name!r}' if name else ''}, one is needed",
            hint="name the one you want",
        )
    entry = entries[0]
    document = _read_file(archive, entry.config)
    config = decode(document, ImageConfig, what=f"{archive.what}, {entry.config[:100]}")
    named = _DOCKER_CONFIG.fullmatch(entry.config)
    if named is None or sha256_of(document) != f"sha256:{named[1]}":
        raise UntrustedContentError(f"{what}: the config {entry.config[:100]!r} is not called by its digest")
    return Plan(document, config, tuple((layer, None, "") for layer in entry.layers))


def check_plan(plan: Plan, what: str, bounds: Bounds) -> None:
    rootfs = plan.config.rootfs
    if rootfs.kind != "layers" or plan.config.os != "linux":
        raise UntrustedContentError(
            f"{what}: an image for {plan.config.os!r} with {rootfs.kind!r} can't be used here"
        )
    if len(rootfs.diff_ids) != len(plan.layers):
        raise UntrustedContentError(
            f"{what}: its config has {len(rootfs.diff_ids)} diff_ids for {len(plan.layers)} layers"
        )
    if len(plan.layers) > bounds.layers:
        raise UntrustedContentError(f"{what}: {len(plan.layers)} layers are more than {bounds.layers}")
    for diff_id in rootfs.diff_ids:
        if not is_digest(diff_id):
            raise UntrustedContentError(
                f"{what}: {diff_id[:100]!r} is not a digest that can be checked (sha256)"
            )


def _check_type(found: str, entry: Descriptor, what: str) -> None:
    if found and found != entry.media_type:
        raise UntrustedContentError(
            f"{what}: {entry.digest} calls itself {found!r}, its descriptor {entry.media_type!r}"
        )


def _blob_name(entry: Descriptor, what: str) -> str:
    if not is_digest(entry.digest) or entry.size < 0:
        raise UntrustedContentError(
            f"{what}: {entry.digest[:100]!r} is not a digest that can be checked (sha256)"
        )
    return f"blobs/sha256/{hex_of(entry.digest)}"


def _read_blob(archive: Archive, entry: Descriptor) -> bytes:
    name = _blob_name(entry, archive.what)
    if entry.size > LONGEST_DOCUMENT:
        raise UntrustedContentError(
            f"{archive.what}: a document of {entry.size} bytes, {LONGEST_DOCUMENT} are read"
        )
    what = f"{archive.what}, {entry.digest}"
    with archive.open(name) as (stream, size):
        if size != entry.size:
            raise UntrustedContentError(f"{what}: it has {size} bytes, {entry.size} are promised")
        blob = CheckedBlob(stream, entry, what=what)
        data = b""
        while piece := blob.read(LONGEST_DOCUMENT):
            data += piece
        blob.finish()
    return data


def _read_file(archive: Archive, name: str) -> bytes:
    """A document that nothing describes; one byte more than is decoded tells that it is too long."""
    with archive.open(name) as (stream, _):
        return stream.read(LONGEST_DOCUMENT + 1)
