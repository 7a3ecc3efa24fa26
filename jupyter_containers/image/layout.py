"""Images in files: loading OCI archives, OCI layout folders and ``docker save``'s archives; see :mod:`.saving`.

Documents are checked and read as :mod:`.plan` has it; layers are held to their blobs' digests and to the config's
diff_ids.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from ..errors import UntrustedContentError
from .archive import Archive, open_archive
from .bounds import DEFAULT_BOUNDS, Bounds
from .digest import sha256_of
from .foreign import CheckedBlob, load_layer, load_root
from .model import LONGEST_DOCUMENT, Descriptor, Image, ImageConfig, Index, Layer, decode
from .plan import NAMES, Plan, blob_name, check_plan, choose, is_named, plan_entry
from .progress import Progress, quiet
from .saving import save
from .store import Store

__all__ = [
    "host_architecture", "load", "load_plan", "load_root", "opened", "plan_all", "read_blob", "read_image_config",
    "read_index", "save",
]  # fmt: skip

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "ppc64le": "ppc64le"}
_DOCKER_CONFIG = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?")


class _DockerEntry(msgspec.Struct, frozen=True, rename="pascal"):
    """Of ``manifest.json`` in an archive by ``docker save`` (moby, image/tarexport)."""

    config: str
    layers: tuple[str, ...]
    repo_tags: tuple[str, ...] | None = None


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
        return load_plan(store, archive, plan, bounds, progress)


def plan_all(archive: Archive, architecture: str, bounds: Bounds) -> Iterator[tuple[Plan, tuple[str, ...]]]:
    """All images of *archive*, each with the names it has there; :func:`.plan.check_plan` is still to be called."""
    if not archive.has("index.json"):
        for image in _docker_entries(archive):
            yield _plan_docker_entry(archive, image), image.repo_tags or ()
        return
    index = read_index(archive)
    named = {
        name: None for entry in index.manifests for name in (entry.annotations.get(key, "") for key in NAMES) if name
    }
    read = partial(read_blob, archive)
    for name in named or ("",):
        entry = choose(index, archive.what, name, architecture)
        plan = plan_entry(entry, read, what=archive.what, architecture=architecture, bounds=bounds)
        yield plan, (name,) if name else ()


def load_plan(store: Store, archive: Archive, plan: Plan, bounds: Bounds, progress: Progress) -> Image:
    """Take a checked plan's image into the store, under a lease of the caller."""
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
    return store.put_document(plan.document, layers, manifest=plan.manifest, manifest_document=plan.manifest_document)


def read_image_config(
    store: Store, path: Path, *, name: str = "", architecture: str = "", bounds: Bounds = DEFAULT_BOUNDS
) -> tuple[str, ImageConfig]:
    """The digest that :func:`load` would give the image, and its config; no layer is read."""
    with _planned(store, path, name, architecture, bounds) as (_, plan):
        return sha256_of(plan.document), plan.config


@contextmanager
def _planned(store: Store, path: Path, name: str, architecture: str, bounds: Bounds) -> Iterator[tuple[Archive, Plan]]:
    with opened(store, path, bounds) as archive:
        if archive.has("index.json"):
            plan = _plan_oci(archive, name, architecture or host_architecture(), bounds)
        else:
            plan = _plan_docker(archive, name)
        check_plan(plan, archive.what, bounds)
        yield archive, plan


@contextmanager
def opened(store: Store, path: Path, bounds: Bounds) -> Iterator[Archive]:
    """The archive at *path*, which looks like one of images."""
    with store.staging() as staging, open_archive(path, scratch=staging.path, bounds=bounds) as archive:
        if not archive.has("index.json") and not archive.has("manifest.json"):
            raise UntrustedContentError(
                f"{path}: neither an OCI layout (index.json) nor a docker archive (manifest.json)",
                hint="make one with `skopeo copy … oci-archive:FILE` or `docker save -o FILE`; "
                'for a root file system\'s tar use `base = "scratch"` with it',
            )
        yield archive


def _plan_oci(archive: Archive, name: str, architecture: str, bounds: Bounds) -> Plan:
    index = read_index(archive)
    entry = choose(index, archive.what, name, architecture)
    return plan_entry(entry, partial(read_blob, archive), what=archive.what, architecture=architecture, bounds=bounds)


def _docker_entries(archive: Archive) -> tuple[_DockerEntry, ...]:
    what = f"{archive.what}, manifest.json"
    return decode(_read_file(archive, "manifest.json"), tuple[_DockerEntry, ...], what=what)


def _plan_docker(archive: Archive, name: str) -> Plan:
    entries = _docker_entries(archive)
    if name:
        entries = tuple(
            entry
            for entry in entries
            if any(is_named(tag, name) or tag == f"{name}:latest" for tag in entry.repo_tags or ())
        )
    if len(entries) != 1:
        raise UntrustedContentError(
            f"{archive.what}, manifest.json: {len(entries)} images{f' named {name!r}' if name else ''}, one is needed",
            hint="name the one you want",
        )
    return _plan_docker_entry(archive, entries[0])


def _plan_docker_entry(archive: Archive, entry: _DockerEntry) -> Plan:
    document = _read_file(archive, entry.config)
    config = decode(document, ImageConfig, what=f"{archive.what}, {entry.config[:100]}")
    named = _DOCKER_CONFIG.fullmatch(entry.config)
    if named is None or sha256_of(document) != f"sha256:{named[1]}":
        raise UntrustedContentError(
            f"{archive.what}, manifest.json: the config {entry.config[:100]!r} is not called by its digest"
        )
    return Plan(document, config, tuple((layer, None, "") for layer in entry.layers))


def read_index(archive: Archive) -> Index:
    """The layout's ``index.json``; an empty one where the archive is none of OCI's."""
    if not archive.has("index.json"):
        return Index(schema_version=2, manifests=())
    return decode(_read_file(archive, "index.json"), Index, what=f"{archive.what}, index.json")


def read_blob(archive: Archive, entry: Descriptor, *, limit: int = LONGEST_DOCUMENT) -> bytes:
    """A document, of the size and digest that *entry* has, and of at most *limit* bytes."""
    name = blob_name(entry, archive.what)
    if entry.size > limit:
        raise UntrustedContentError(f"{archive.what}: a document of {entry.size} bytes, {limit} are read")
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
