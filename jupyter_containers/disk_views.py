"""Views of the store: what it takes, what one image is, what was pruned. See :mod:`.views` for what a view is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from .image.usage import DiskUsage

__all__ = [
    "CacheDisk", "ContainerDisk", "DiskView", "ImageDetail", "ImageDisk", "LayerDetail", "LayerDisk", "PruneView",
    "layer_views",
]  # fmt: skip


class ImageDisk(msgspec.Struct, frozen=True, kw_only=True):
    """What an image takes. Bytes on disk."""

    digest: str
    references: tuple[str, ...]
    size: int
    """Of all its layers, each file once."""
    own: int
    """What would be free if just this image were gone: neither another image nor a cache has it."""
    shared: int
    layers: int
    last_used: float
    """Seconds since the epoch."""
    pinned: bool
    """Kept by `pin`."""
    containers: int
    """Made from it, running or not."""


class LayerDisk(msgspec.Struct, frozen=True, kw_only=True):
    diff_id: str
    created_by: str
    size: int
    own: int
    images: int
    """How many have it."""


class CacheDisk(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    size: int
    own: int
    """Without what layers have as well."""


class ContainerDisk(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    status: str
    size: int
    """Of what it wrote."""


class DiskView(msgspec.Struct, frozen=True, kw_only=True):
    """What everything takes: bytes on disk, files that are shared counted once."""

    path: str
    """The home."""
    total: int
    free: int
    """Of the disk, for this user."""
    store: int
    images: tuple[ImageDisk, ...]
    """The largest first."""
    images_size: int
    """Of all layers."""
    images_reclaimable: int
    """Of the layers that neither a container nor a pin needs."""
    layers: tuple[LayerDisk, ...]
    unneeded: int
    """Of the layers that no image has: cached steps, what was left."""
    caches: tuple[CacheDisk, ...]
    caches_size: int
    documents: int
    temporary: int
    containers: tuple[ContainerDisk, ...]
    builds: int
    """How many builds' logs there are."""
    builds_size: int


class LayerDetail(msgspec.Struct, frozen=True, kw_only=True):
    diff_id: str
    created_by: str
    size: int
    entries: int
    path: str
    """Where its files are on this host."""


class ImageDetail(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of an image."""

    digest: str
    references: tuple[str, ...]
    environments: tuple[str, ...]
    created_at: float
    """Seconds since the epoch: when it came into this store."""
    last_used: float
    pinned: bool
    manifest_digest: str
    """Of the foreign manifest it came with; empty for images built here."""
    size: int
    layers: tuple[LayerDetail, ...]
    """Lowest first."""
    config: dict[str, Any]
    """The OCI configuration, as it is."""
    attached: tuple[str, ...] = ()
    """Kinds of documents that are kept with it."""


class PruneView(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be."""

    items: tuple[str, ...]
    """A line for each thing."""
    size: int
    """Bytes on disk that are free now."""
    left: int | None = None
    """Bytes that the store holds now, where a bound was given."""


def layer_views(usage: DiskUsage) -> tuple[LayerDisk, ...]:
    rows = [
        LayerDisk(
            diff_id=each.layer.diff_id, created_by=each.layer.created_by, size=each.usage.size, own=each.usage.own,
            images=each.images,
        )
        for each in usage.layers
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: -row.size))
