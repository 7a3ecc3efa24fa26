"""How much a writable layer holds. Few imports: the monitor measures as well, and stays small.

A container writes the tree that is measured, at the same time: nothing is followed, everything may vanish, and
depth is no danger (each folder is opened relative to its parent, so that no path grows too long).
"""

from __future__ import annotations

import os
import time

__all__ = ["DiskWatch", "measure"]

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 256
"""Deeper folders are left out: each level holds a descriptor while it is walked."""


def measure(tree: str, *, stop_at: int | None = None) -> int:
    """Bytes that the files below *tree* occupy on disk (a hard link once); may stop early past *stop_at*."""
    seen: set[int] = set()
    try:
        root = os.open(tree, _OPEN)
    except OSError:
        return 0
    total = 0
    stack = [(root, os.listdir(root))]
    try:
        while stack:
            folder, names = stack[-1]
            if not names or (stop_at is not None and total > stop_at):
                os.close(folder)
                stack.pop()
                continue
            name = names.pop()
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if status.st_nlink > 1 and not _is_folder(status.st_mode):
                    if status.st_ino in seen:
                        continue
                    seen.add(status.st_ino)
                total += status.st_blocks * 512
                if _is_folder(status.st_mode) and len(stack) < _MAX_DEPTH:
                    inner = os.open(name, _OPEN, dir_fd=folder)
                    stack.append((inner, os.listdir(inner)))
            except OSError:
                continue  # gone in the meantime, or closed to us
    finally:
        for folder, _ in stack:
            os.close(folder)
    return total


class DiskWatch:
    """When to measure next, and whether the limit is passed: at least a second apart, at most a tenth of the time."""

    def __init__(self, tree: str, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._tree = tree
        self._volumes = f"{tree.rpartition('/')[0]}/volumes"
        """Beside it: what the container has in volumes is its own, too."""
        self._next = 0.0

    def due(self) -> float:
        """Seconds until the next measurement."""
        return max(0.0, self._next - time.monotonic())

    def passed(self) -> bool:
        """Measure when it is time; True when the layer holds more than the limit."""
        start = time.monotonic()
        if start < self._next:
            return False
        self.used = measure(self._tree, stop_at=self.limit) + measure(self._volumes, stop_at=self.limit)
        end = time.monotonic()
        self._next = end + max(1.0, 10 * (end - start))
        return self.used > self.limit

    def told(self) -> str:
        """Why a container was ended."""
        from ..spec.sizes import format_size  # late: the monitor needs it once, at the end

        return f"out of disk ({format_size(self.used)} in its writable layer, limit {format_size(self.limit)})"


def _is_folder(mode: int) -> bool:
    return mode & 0o170000 == 0o040000
