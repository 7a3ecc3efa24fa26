"""Disk: ten environments that share a stack, against the union of their files (each different file once)."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from .measure import Row
from .setup import HOME, Bench

STACK = ("numpy", "pandas", "scikit-learn", "matplotlib")
EXTRAS = ("tabulate", "humanize", "toolz", "sortedcontainers", "cachetools", "six", "attrs", "tqdm", "click", "wrapt")


def rows() -> Iterator[Row]:
    from jupyter_containers.image.store import Store

    with Bench() as bench:
        names = [bench.environment(f"bench-share-{index}", pip=(*STACK, extra)) for index, extra in enumerate(EXTRAS)]
        store = Store(HOME / "store")
        layers = {layer.path for name in names for layer in store.image(name).layers}
        used, union, alone = _measure(layers)
        yield Row(
            "disk of ten environments that share a stack",
            f"{used / 1e6:.0f} MB",
            f"{union / 1e6:.0f} MB union of their files",
            used / union,
            "≤ 1.2",
            f"{alone / 1e6:.0f} MB if each had its own",
        )


def _measure(layers: set[Path]) -> tuple[int, int, int]:
    """Bytes on disk (each inode once), of different contents, and of all files counted each time."""
    inodes: dict[tuple[int, int], int] = {}
    contents: dict[bytes, int] = {}
    alone = 0
    hashed: set[tuple[int, int]] = set()
    for layer in layers:
        for folder, _, files in os.walk(layer):
            for name in files:
                path = Path(folder) / name
                status = path.lstat()
                if not stat.S_ISREG(status.st_mode):
                    continue
                inode = (status.st_dev, status.st_ino)
                size = status.st_blocks * 512
                inodes[inode] = size
                alone += size
                if inode not in hashed:
                    hashed.add(inode)
                    contents[hashlib.sha256(path.read_bytes()).digest()] = size
    return sum(inodes.values()), sum(contents.values()), alone
