"""A folder as one blob, and back: a tar with zstd, the same bytes for the same files, unpacked as untrusted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError
from .blobs import compressed
from .bounds import Bounds
from .capture import EPOCH
from .enclosed import Enclosed
from .facts import Facts, quote_name
from .foreign import plain_tar
from .layer import Item, scan, stream_tar, tar_items
from .model import Descriptor
from .unpack import unpack
from .whiteout import PREFIX

__all__ = ["pack_folder", "unpack_folder"]


def pack_folder(folder: Path, target: Path) -> None:
    """Write all below *folder* to the new file *target*. Modes are kept; owners, times and attributes are not.

    :class:`InputError` for names that a tar of an image can't hold.
    """
    with target.open("xb") as stream:
        for piece in compressed(stream_tar(_items(os.fsencode(folder))), "zstd"):
            stream.write(piece)


def unpack_folder(source: Enclosed, entry: Descriptor, folder: Path, *, bounds: Bounds) -> None:
    """Unpack the part *entry* into the empty *folder*: bounded, checked by its digest, and nothing outside of it.

    Raises :class:`UntrustedContentError` and :class:`~jupyter_containers.errors.OutOfSpaceError`.
    """
    what = f"the files in {entry.digest[:19]}"
    with source.open(entry) as blob:
        with plain_tar(blob, what=what, bounds=bounds) as tar:
            unpack(tar, folder, what=what, bounds=bounds, whiteouts=False)
        blob.finish()


def _items(folder: bytes) -> Iterator[Item]:
    for found in scan(folder):
        if found.name.rpartition(b"/")[2].startswith(PREFIX):
            raise InputError(
                f"{quote_name(found.name)}: names that begin with .wh. can't go along", hint="give it another name"
            )
    for member, path in tar_items(folder, Facts()):
        member.mtime, member.xattrs = EPOCH, {}
        yield member, path
