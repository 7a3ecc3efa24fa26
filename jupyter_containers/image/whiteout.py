"""Whiteouts: how a layer says that something below it is gone.

====================  ===========================================  ==================================
                      overlayfs (kernel, ``overlayfs.rst``)        OCI tar (image-spec 1.1, layer.md)
====================  ===========================================  ==================================
``name`` is gone      a character device 0:0 called ``name``       an empty file ``.wh.name``
all below is gone     the folder carries ``user.overlay.opaque``   an empty file ``.wh..wh..opq`` in it
====================  ===========================================  ==================================

``user.`` and not ``trusted.``: overlays are mounted in user namespaces, with ``userxattr``.
"""

from __future__ import annotations

import os
import stat

__all__ = [
    "OPAQUE_MARKER", "OPAQUE_XATTR", "PREFIX", "hidden_name", "is_opaque", "is_whiteout", "make_whiteout",
    "set_opaque",
]  # fmt: skip

PREFIX = b".wh."
OPAQUE_MARKER = b".wh..wh..opq"
OPAQUE_XATTR = "user.overlay.opaque"


def is_whiteout(status: os.stat_result) -> bool:
    """Whether the file of an overlay's layer that *status* describes is a whiteout."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def make_whiteout(name: bytes, *, folder: int) -> None:
    """Make one in an open folder. An ordinary user may, since Linux 5.8 (``WHITEOUT_DEV``)."""
    os.mknod(name, stat.S_IFCHR | 0o000, 0, dir_fd=folder)


def is_opaque(folder: bytes | int) -> bool:
    """Whether a folder (by path, or descriptor, with O_PATH, too) hides what lower layers have in it."""
    try:
        if isinstance(folder, int):
            return os.getxattr(f"/proc/self/fd/{folder}", OPAQUE_XATTR) == b"y"
        return os.getxattr(folder, OPAQUE_XATTR, follow_symlinks=False) == b"y"
    except OSError:
        return False


def set_opaque(folder: bytes | int) -> None:
    """Let a folder (by path or descriptor) hide what lower layers have in it."""
    os.setxattr(f"/proc/self/fd/{folder}" if isinstance(folder, int) else folder, OPAQUE_XATTR, b"y")


def hidden_name(name: bytes) -> bytes | None:
    """The name that the tar entry called *name* hides, or None where it is no whiteout of a single name."""
    if not name.startswith(PREFIX) or name.startswith(PREFIX * 2):
        return None
    return name.removeprefix(PREFIX)
