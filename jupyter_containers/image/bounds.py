"""How much of a foreign archive is taken in, and the watch over the disk while it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutOfSpaceError, UntrustedContentError

__all__ = ["DEFAULT_BOUNDS", "Bounds", "Room"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits for one image. Real images stay far below them."""

    size: int = 64 << 30
    """Bytes of a layer, uncompressed, and of a compressed archive's tar."""
    entries: int = 2_000_000
    """Of one tar."""
    layers: int = 400
    """overlayfs takes 500; an environment puts some on top."""
    name: int = 3072
    """Bytes of an entry's name: with the store's own path below PATH_MAX."""
    depth: int = 256
    """Folders in folders."""
    extension: int = 1 << 20
    """Bytes of one PAX header."""
    ratio: int = 300
    """Uncompressed bytes for one compressed byte, over a whole stream. Text reaches 20; gzip can't pass 1032."""
    ratio_from: int = 256 << 20
    """Uncompressed bytes from which the ratio is looked at: small streams of zeros are harmless."""
    barren: int = 16 << 20
    """Compressed bytes beyond the uncompressed ones and a hundredth of them: no compressor adds more than that."""
    noted: int = 64 << 20
    """Bytes of names that are kept in memory while a tar is unpacked: those of folders, and of files with rights or
    attributes that are not on disk. A layer of a whole distribution has 2 MiB of them."""
    trailer: int = 16 << 20
    """Bytes of zeros after a tar's end."""
    reserve: int = 512 << 20
    """Bytes of the disk that stay free."""
    manifest_depth: int = 4
    """Image indexes in image indexes."""


DEFAULT_BOUNDS = Bounds()

_BLOCK = 4096
_LOOK_AFTER = 64 << 20
"""Bytes after which the disk is looked at again: others write, too."""


class Room:
    """What may still be written below *folder*."""

    def __init__(self, folder: Path, bounds: Bounds, *, what: str) -> None:
        self._folder, self._bounds, self._what = folder, bounds, what
        self._taken = 0
        self._free = self._unlooked = 0

    def take(self, size: int) -> None:
        """Account for a file of *size* bytes before it is written.

        Raises :class:`UntrustedContentError` over the bound, :class:`OutOfSpaceError` when the disk would be full.
        """
        self._taken += size
        if self._taken > self._bounds.size:
            raise UntrustedContentError(
                f"{self._what}: it unpacks to more than {self._bounds.size} bytes, the bound for one layer"
            )
        used = -(-size // _BLOCK) * _BLOCK
        self._unlooked += used
        if self._free == 0 or self._unlooked > _LOOK_AFTER:
            status = os.statvfs(self._folder)
            self._free, self._unlooked = status.f_bavail * status.f_frsize, used
        if self._free - self._unlooked < self._bounds.reserve:
            raise OutOfSpaceError(
                f"{self._what}: the disk that holds {self._folder} would be full",
                hint="`jupyter-containers prune` frees what no environment uses",
            )
