"""Which image in a pile of documents is meant, and what it is made of: manifests and indexes, checked and read.

The documents come from a file (:mod:`.layout`) or a registry (:mod:`.pull`). Each has the size and digest of its
descriptor before it is parsed; indexes may nest a little; ``urls`` are never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from ..errors import UntrustedContentError
from .bounds import Bounds
from .digest import hex_of, is_digest
from .model import (
    CONFIG_TYPE,
    DOCKER_LIST_TYPE,
    DOCKER_MANIFEST_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    ExecutionConfig,
    ImageConfig,
    Index,
    Manifest,
    decode,
)

__all__ = [
    "INDEX_TYPES", "MANIFEST_TYPES", "NAMES", "Plan", "blob_name", "check_execution", "check_plan", "choose",
    "is_named", "plan_entry",
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
_MOST_VOLUMES = 100
_LONGEST_PATH = 3072
"""Bytes; as of a layer's entry."""
NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
"""Annotations of an index's entry that name it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An image in an archive: its documents are read and checked, its layers not yet."""

    document: bytes
    config: ImageConfig
    layers: tuple[tuple[str, Descriptor | None, str], ...]
    """Each one's file in the archive, its blob's descriptor, and the compression it must have (empty: any)."""
    manifest: Descriptor | None = None
    manifest_document: bytes = b""


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
        entry = choose(index, what, "", architecture)
    raise UntrustedContentError(f"{what}: indexes nested more than {bounds.manifest_depth} deep")


def choose(index: Index, what: str, name: str, architecture: str) -> Descriptor:
    """The one entry that is meant."""
    entries = index.manifests
    processor, _, variant = architecture.partition("/")
    if name:
        entries = tuple(
            entry
            for entry in entries
            if name == entry.digest or any(is_named(entry.annotations.get(key, ""), name) for key in NAMES)
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


def is_named(annotation: str, name: str) -> bool:
    return annotation == name or annotation.endswith(f":{name}")


def _label(entry: Descriptor) -> str:
    name = next((entry.annotations[key] for key in NAMES if key in entry.annotations), entry.digest[:19])
    return f"{name} ({entry.platform.os}/{entry.platform.architecture})" if entry.platform else name


def _plan_manifest(entry: Descriptor, read: Callable[[Descriptor], bytes], where: str) -> Plan:
    what = f"{where}, manifest {entry.digest}"
    document = read(entry)
    manifest = decode(document, Manifest, what=what)
    _check_type(manifest.media_type, entry, where)
    if manifest.schema_version != 2:
        raise UntrustedContentError(f"{what}: schema version {manifest.schema_version} is not 2")
    if manifest.config.media_type not in _CONFIG_TYPES:
        raise UntrustedContentError(f"{what}: its config is {manifest.config.media_type!r}, so it is no image")
    config = read(manifest.config)
    layers = []
    for layer in manifest.layers:
        if layer.media_type not in _LAYER_COMPRESSION:
            raise UntrustedContentError(f"{what}: a layer of the media type {layer.media_type!r}")
        layers.append((blob_name(layer, where), layer, _LAYER_COMPRESSION[layer.media_type]))
    return Plan(
        config, decode(config, ImageConfig, what=f"{where}, config {manifest.config.digest}"), tuple(layers),
        msgspec.structs.replace(entry, annotations={}), document,
    )  # fmt: skip


def check_plan(plan: Plan, what: str, bounds: Bounds) -> None:
    """Raise :class:`UntrustedContentError` where config and layers do not fit, or no program could be run by them."""
    check_execution(plan.config.execution, what)
    rootfs = plan.config.rootfs
    if rootfs.kind != "layers" or plan.config.os != "linux":
        raise UntrustedContentError(f"{what}: an image for {plan.config.os!r} with {rootfs.kind!r} can't be used here")
    if len(rootfs.diff_ids) != len(plan.layers):
        raise UntrustedContentError(
            f"{what}: its config has {len(rootfs.diff_ids)} diff_ids for {len(plan.layers)} layers"
        )
    if len(plan.layers) > bounds.layers:
        raise UntrustedContentError(f"{what}: {len(plan.layers)} layers are more than {bounds.layers}")
    for diff_id in rootfs.diff_ids:
        if not is_digest(diff_id):
            raise UntrustedContentError(f"{what}: {diff_id[:100]!r} is not a digest that can be checked (sha256)")


def check_execution(execution: ExecutionConfig, what: str) -> None:
    """Refuse what no process can be started with. Real images stay far below the bounds."""

    def check(value: object) -> None:
        if isinstance(value, str):
            if "\0" in value:
                raise UntrustedContentError(f"{what}: its config has a NUL in {value[:80]!r}")
        elif isinstance(value, Mapping):
            for key, item in value.items():
                check(key)
                check(item)
        elif isinstance(value, list | tuple):
            for item in value:
                check(item)

    check(msgspec.to_builtins(execution))
    volumes = execution.volumes or {}
    if len(volumes) > _MOST_VOLUMES:
        raise UntrustedContentError(f"{what}: its config asks for {len(volumes)} volumes, more than {_MOST_VOLUMES}")
    for path in (execution.working_dir, *volumes):
        if len(path.encode()) > _LONGEST_PATH or any(len(part.encode()) > 255 for part in path.split("/")):
            raise UntrustedContentError(f"{what}: its config has the overlong path {path[:80]!r}")


def _check_type(found: str, entry: Descriptor, what: str) -> None:
    if found and found != entry.media_type:
        raise UntrustedContentError(
            f"{what}: {entry.digest} calls itself {found!r}, its descriptor {entry.media_type!r}"
        )


def blob_name(entry: Descriptor, what: str) -> str:
    if not is_digest(entry.digest) or entry.size < 0:
        raise UntrustedContentError(f"{what}: {entry.digest[:100]!r} is not a digest that can be checked (sha256)")
    return f"blobs/sha256/{hex_of(entry.digest)}"
