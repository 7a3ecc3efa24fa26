"""How many bytes the store holds, and who shares them: files that several layers or caches have are counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from .caches import CacheEntry
from .census import Census
from .model import Layer
from .records import ImageRecord, LayerRecord, list_records
from .store import Store

__all__ = [
    "DiskUsage",
    "ImageUsage",
    "LayerUsage",
    "TreeUsage",
    "count_store",
    "entry_name",
    "layer_name",
    "measure",
    "measure_tree",
]

DOCUMENTS = ("blobs", "layers", "images", "refs", "pins", "steps", "attached", "locks", "leases")


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """Bytes on disk of one tree."""

    size: int
    """All of its files, hard links inside the tree counted once."""
    own: int
    """Of those, what would be free if the tree were gone: no link leads there from outside."""


@dataclass(frozen=True, slots=True)
class LayerUsage:
    layer: Layer
    usage: TreeUsage
    images: int
    """How many have it."""


@dataclass(frozen=True, slots=True)
class ImageUsage:
    digest: str
    usage: TreeUsage
    """Of its layers; *own* is what would be free if just this image were gone."""
    layers: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Bytes on disk (blocks, not lengths)."""

    layers: tuple[LayerUsage, ...]
    images: tuple[ImageUsage, ...]
    total: int
    """Of everything below, each file once."""
    trees: int
    """All layers together, each file once."""
    unneeded: int
    """Of those, what the layers that no image has would free."""
    reclaimable: int
    """Of those, what all layers would free that the images in *kept* do not have."""
    caches: dict[str, TreeUsage]
    """By name; what they share with layers is counted in both."""
    caches_size: int
    """All together, each file once."""
    documents: int
    """Configs, manifests, records, recipes."""
    temporary: int


def measure(store: Store, *, kept: Collection[str] = ()) -> DiskUsage:
    """Look at every file of *store*. Layers that come or go meanwhile may be left out."""
    census = count_store(store)
    images = [image for _, image in list_records(store.folder("images"), ImageRecord)]
    users = Counter(diff_id for image in images for diff_id in set(image.layers))
    layers = [
        layer
        for _, record in list_records(store.folder("layers"), LayerRecord)
        if layer_name(record.diff_id) in census and (layer := store.find_layer(record.diff_id)) is not None
    ]
    trees = [layer_name(layer.diff_id) for layer in layers]
    caches = [path.name for path in _folders(store.folder("cache")) if f"cache {path.name}" in census]
    needed = {layer_name(diff_id) for image in images if image.digest in kept for diff_id in image.layers}
    documents = [name for name in DOCUMENTS if name in census]
    return DiskUsage(
        layers=tuple(
            LayerUsage(layer, _usage(census, [layer_name(layer.diff_id)]), users[layer.diff_id]) for layer in layers
        ),
        images=tuple(
            ImageUsage(image.digest, _image_usage(census, image, users), len(image.layers)) for image in images
        ),
        total=census.size([*trees, *(f"cache {name}" for name in caches), *documents, "tmp"]),
        trees=census.size(trees),
        unneeded=census.own([layer_name(layer.diff_id) for layer in layers if not users[layer.diff_id]]),
        reclaimable=census.own(name for name in trees if name not in needed),
        caches_size=census.size(f"cache {name}" for name in caches),
        caches={name: _usage(census, [f"cache {name}"]) for name in caches},
        documents=census.size(documents),
        temporary=census.size(["tmp"]),
    )


def count_store(store: Store, *, entries: Sequence[CacheEntry] = ()) -> Census:
    """Its layers (:func:`layer_name`), its caches (``cache uv``), its folders of documents and ``tmp``, by name.

    With *entries* these (:func:`entry_name`) instead of the caches.
    """
    census = Census()
    for _, record in list_records(store.folder("layers"), LayerRecord):
        census.count(layer_name(record.diff_id), store.folder("l") / record.id)
    for entry in entries:
        census.count(entry_name(entry), entry.path)
    for path in () if entries else _folders(store.folder("cache")):
        census.count(f"cache {path.name}", path)
    for name in (*DOCUMENTS, "tmp"):
        census.count(name, store.folder(name))
    return census


def entry_name(entry: CacheEntry) -> str:
    """What one thing of a cache is called in a census."""
    return f"entry {entry.name}"


def layer_name(diff_id: str) -> str:
    """What a layer's folder is called in a census."""
    return f"layer {diff_id}"


def measure_tree(*paths: Path) -> TreeUsage:
    """The bytes of everything at and below *paths*, taken as one tree."""
    census = Census()
    census.count("tree", *paths)
    return _usage(census, ["tree"])


def _usage(census: Census, names: list[str]) -> TreeUsage:
    return TreeUsage(census.size(names), census.own(names))


def _image_usage(census: Census, image: ImageRecord, users: Counter[str]) -> TreeUsage:
    names = [layer_name(diff_id) for diff_id in image.layers]
    alone = [layer_name(diff_id) for diff_id in image.layers if users[diff_id] == 1]
    return TreeUsage(census.size(names), census.own(alone))


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.is_symlink())
