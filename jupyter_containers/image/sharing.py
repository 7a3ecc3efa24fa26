"""Files that several layers have are one file on disk: a new layer's are linked to those that are there already.

Two files are one where the path in the layer, the bytes, the mode on disk, the time and the owner are the same, and
neither has attributes. The path as well: in one image, of layers one above the other, a path shows one file, so no two
names in a container ever turn out to be the same file (``cp a b`` would refuse). Layers are never written to; a
container that changes a file gets a copy of its own (overlayfs copies up, and with ``index=off`` one name only).

Done before a layer is published, so no layer in use is ever touched. Which layer may have a file is known from its
*list*: a sorted array of 64-bit keys beside its record, ``layers/<id>.files``. That two files have the same bytes is
found by comparing them, not by a hash: what is damaged spreads no further.
"""

from __future__ import annotations

import os
import stat
from array import array
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from ..errors import StoreError
from .layer import whole_seconds

__all__ = ["Listing", "list_file", "list_files", "make_list", "share_files"]

_PIECE = 1 << 20
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_LAYERS = 500
"""Of which the lists are read: the newest."""


class Listing:
    """A layer's files that have content: gathered while its tree is read anyhow, or by :func:`list_files`."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._alone: dict[int, bytes] = {}

    def add(self, name: bytes, *, size: int, mode: int, mtime: int, names: int) -> None:
        """*name*: the path in the layer; *mode* and *mtime* in whole seconds as they are on disk in the end; *names*:
        how many the file has, in the tree and elsewhere."""
        text = b"%b\0%d %o %d" % (name, size, mode, mtime)
        key = int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
        self._keys.append(key)
        if names == 1:
            self._alone[key] = name

    @property
    def alone(self) -> dict[int, bytes]:
        """Those with one name, by key. Others are in a cache, which has the file already."""
        return self._alone

    def encode(self) -> bytes:
        """The list, as it is kept."""
        return array("Q", sorted(self._keys)).tobytes()


def list_file(layers: Path, layer: str) -> Path:
    """Where the list of the layer is, in the folder of records."""
    return layers / f"{layer}.files"


def make_list(tree: Path) -> bytes:
    """The list of a layer's files."""
    return list_files(tree).encode()


def list_files(tree: Path) -> Listing:
    """The files of a finished tree."""
    top = os.fsencode(tree)
    listing = Listing()
    stack = [top]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_size:
                        listing.add(
                            entry.path[len(top) + 1 :], size=status.st_size, mode=status.st_mode,
                            mtime=whole_seconds(status), names=status.st_nlink,
                        )  # fmt: skip
    return listing


def share_files(tree: Path, store: Path, listing: Listing) -> int:
    """Link what the not yet published *tree* has in common with the layers of the store in *store*; how many files.

    *tree* is of the same mount. Its folders keep their times. Files with several names in it, or in a cache, are left
    as they are, and empty ones.
    """
    top = os.fsencode(tree)
    wanted = dict(listing.alone)
    if not wanted:
        return 0
    shared = 0
    touched: dict[bytes, os.stat_result] = {}
    for path in _lists(store / "layers"):
        layer = os.fsencode(store / "l" / path.stem)
        for key in _common(path, wanted):
            name = wanted[key]
            with suppress(OSError):  # collected meanwhile, or a file system's bound on the names of one file
                if _link(layer, top, name, touched):
                    shared += 1
                    del wanted[key]
    for folder, status in touched.items():
        os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))
    return shared


def _lists(layers: Path) -> list[Path]:
    found = []
    for path in layers.glob("[!.]*.files"):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)[:_MOST_LAYERS]]


def _common(path: Path, wanted: dict[int, bytes]) -> list[int]:
    keys = array("Q")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    keys.frombytes(data[: len(data) // 8 * 8])
    return [key for key in keys if key in wanted]


def _link(layer: bytes, top: bytes, name: bytes, touched: dict[bytes, os.stat_result]) -> bool:
    target = top + b"/" + name
    one = os.open(layer + b"/" + name, _FILE)
    try:
        if not _fits(os.fstat(one), os.lstat(target)) or os.listxattr(one) or os.listxattr(target):
            return False
        if not _have_same_bytes(one, target):
            return False
        folder = os.path.dirname(target)  # noqa: PTH120  bytes
        if folder not in touched:
            touched[folder] = os.stat(folder)  # noqa: PTH116
        _replace(one, target, os.path.dirname(top))  # noqa: PTH120
        return True
    finally:
        os.close(one)


def _replace(source: int, target: bytes, aside: bytes) -> None:
    """Let *target* be another name of the open file *source*: the very one that was compared, whatever has its name
    by now. Nobody sees the tree yet, so the old name goes first: a rename over it takes three times as long, since
    ext4 writes the file's blocks to the disk for it (ext4(5), ``auto_da_alloc``)."""
    beside = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    name = b"shared-" + os.urandom(8).hex().encode()
    try:
        # With a folder's descriptor Python calls linkat(2), which can follow /proc's link to an open file.
        os.link(f"/proc/self/fd/{source}", name, dst_dir_fd=beside, follow_symlinks=True)
        try:
            os.unlink(target)  # noqa: PTH108  bytes
            os.rename(name, target, src_dir_fd=beside)
        except OSError as error:  # between the two the tree lacks a file
            raise StoreError(f"cannot link {os.fsdecode(target)}: {error.strerror}") from error
    finally:
        os.close(beside)


def _fits(found: os.stat_result, wanted: os.stat_result) -> bool:
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_ino != wanted.st_ino
        and found.st_dev == wanted.st_dev
        and (found.st_mode, found.st_uid, found.st_gid, found.st_size, whole_seconds(found))
        == (wanted.st_mode, wanted.st_uid, wanted.st_gid, wanted.st_size, whole_seconds(wanted))
    )


def _have_same_bytes(one: int, path: bytes) -> bool:
    other = os.open(path, _FILE)
    try:
        while piece := os.read(one, _PIECE):
            if os.read(other, len(piece)) != piece:
                return False
        return not os.read(other, 1)
    finally:
        os.close(other)
