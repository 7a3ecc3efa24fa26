"""How many bytes the store holds, and who shares them: hard links are counted once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from .model import Layer
from .records import LayerRecord, list_records
from .store import Store

__all__ = ["DiskUsage", "LayerUsage", "TreeUsage", "measure", "measure_tree"]

_SECTOR = 512
"""What ``st_blocks`` counts, whatever the file system's block is (stat(2))."""


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


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Bytes on disk (blocks, not lengths)."""

    layers: tuple[LayerUsage, ...]
    total: int
    """Of everything below, each file once."""
    trees: int
    """All layers together, each file once."""
    caches: dict[str, int]
    """By name; what they share with layers is counted in both."""
    documents: int
    """Configs, manifests, records, recipes."""
    temporary: int


def measure(store: Store) -> DiskUsage:
    """Look at every file of *store*. Layers that come or go meanwhile may be left out."""
    seen: set[tuple[int, int]] = set()
    layers = []
    trees = 0
    for _, record in list_records(store.folder("layers"), LayerRecord):
        layer = store.find_layer(record.diff_id)
        if layer is not None:
            layers.append(LayerUsage(layer, measure_tree(layer.path)))
            trees += _unseen(layer.path, seen)
    caches = {path.name: measure_tree(path).size for path in sorted(store.folder("cache").iterdir()) if path.is_dir()}
    rest = _unseen(store.folder("cache"), seen)
    names = ("blobs", "layers", "images", "refs", "pins", "steps", "locks", "leases")
    documents = sum(_unseen(store.folder(name), seen) for name in names)
    temporary = _unseen(store.folder("tmp"), seen)
    return DiskUsage(
        layers=tuple(layers), total=trees + rest + documents + temporary, trees=trees, caches=caches,
        documents=documents, temporary=temporary,
    )  # fmt: skip


def measure_tree(*paths: Path) -> TreeUsage:
    """The bytes of everything at and below *paths*, taken as one tree."""
    links: dict[tuple[int, int], int] = {}
    size = own = 0
    for status in chain.from_iterable(_statuses(os.fsencode(path)) for path in paths):
        key = (status.st_dev, status.st_ino)
        linked = not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1
        found = links.get(key, 0) + 1 if linked else 1
        if linked:
            links[key] = found
        if found == 1:
            size += status.st_blocks * _SECTOR
        if not linked or found == status.st_nlink:
            own += status.st_blocks * _SECTOR
    return TreeUsage(size, own)


def _unseen(path: Path, seen: set[tuple[int, int]]) -> int:
    size = 0
    for status in _statuses(os.fsencode(path)):
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            key = (status.st_dev, status.st_ino)
            if key in seen:
                continue
            seen.add(key)
        size += status.st_blocks * _SECTOR
    return size


def _statuses(top: bytes) -> Iterator[os.stat_result]:
    """Of *top* and all below it that can be read; what vanishes meanwhile is passed over."""
    stack = [top]
    try:
        yield os.lstat(top)
    except FileNotFoundError:
        return
    while stack:
        folder = stack.pop()
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, PermissionError, NotADirectoryError):
            continue
        for entry in entries:
            try:
                yield entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if entry.is_dir(follow_symlinks=False):
                stack.append(entry.path)
