"""The store's caches: downloads, prepared packages, what builds keep between two runs. All of it can be had again.

Who takes things out of a cache by their path (a build, a resolve) does so inside of :func:`use_caches`; what is pruned
is taken away only while nobody does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .locks import hold, try_lock
from .store import Store

__all__ = ["CacheEntry", "all_caches", "list_entries", "use_caches"]

_DEPTHS = {
    "archives/sha256": 2, "archives/documents": 1, "archives/indexes": 1, "archives/partial": 1,
    "wheels": 2, "built": 2, "mounts": 1, "uv": 0,
}  # fmt: skip
"""How far below each folder the things lie that stand for themselves. The other caches are small, and stay."""
_DEEPEST = 16


class CacheEntry(msgspec.Struct, frozen=True):
    """A download, a prepared package, a cache mount."""

    path: Path
    name: str
    """Below ``cache/``."""
    last_used: float


@contextmanager
def use_caches(store: Path) -> Iterator[None]:
    """Nothing is pruned from the caches of the store in the folder *store* until the end."""
    (store / "cache").mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold(store / "cache" / "lock", shared=True):
        yield


@contextmanager
def all_caches(store: Store) -> Iterator[bool]:
    """The caches alone, without waiting: False where somebody uses them."""
    handle = os.open(store.folder("cache") / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield try_lock(handle)
    finally:
        os.close(handle)


def list_entries(store: Store) -> list[CacheEntry]:
    """Everything that can be pruned, in no order."""
    top = store.folder("cache")
    return [
        CacheEntry(path, str(path.relative_to(top)), _last_used(path))
        for place, depth in _DEPTHS.items()
        for path in _below(top / place, depth)
    ]


def _below(path: Path, depth: int) -> Iterator[Path]:
    if not depth:
        if path.exists():
            yield path
        return
    try:
        entries = sorted(path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        yield from _below(entry, depth - 1)


def _last_used(path: Path) -> float:
    """When it was written, read, or linked into a layer, as the kernel keeps it (inode(7)); of reading once a day.

    A folder is listed by everyone who measures the disk: one file in it tells for all.
    """
    try:
        status = path.stat(follow_symlinks=False)
        found = max(status.st_mtime, status.st_ctime)
        for _ in range(_DEEPEST):
            if not stat.S_ISDIR(status.st_mode):
                return max(found, status.st_atime, status.st_ctime)
            inside = next(iter(sorted(os.listdir(path))), None)
            if inside is None:
                break
            path = path / inside
            status = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0.0
    return found
