"""Makes the detached mounts of a fork (:class:`.plan.Source`), where the host is seen; run by :mod:`..service`.

In a user and a mount namespace of its own, so that an ordinary user may mount; as root it is the unprivileged id
already, and the host's folders are those of the stage, shifted to it.
Sources: open_tree(2), mount_setattr(2), overlayfs (kernel documentation, "userxattr").
"""

from __future__ import annotations

import os

from .. import kernel

TYPE_CHECKING = False  # typing is a slow import here
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .plan import Source

__all__ = ["make_mounts"]

_QUIET = kernel.MS["nosuid"] | kernel.MS["nodev"]


def make_mounts(sources: Sequence[Source], place: str) -> list[int]:
    """Descriptors of detached mounts, in the order of *sources*. *place*: any folder, covered for a moment.

    Raises OSError with the path that could not be mounted.
    """
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare("user", "mnt")
    kernel.map_ids(uid, gid)
    kernel.keep_mounts_apart()
    return [_overlay(place, *rest) if kind == "overlay" else _bind(*rest) for kind, *rest in sources]


def _overlay(place: str, layers: list[str], upper: str, work: str) -> int:
    """*layers* lowest first; the option has the topmost first."""
    options = "lowerdir=" + ":".join(map(_escaped, reversed(layers))) + ",userxattr"
    flags = _QUIET
    if upper:
        options += f",upperdir={_escaped(upper)},workdir={_escaped(work)},index=off,metacopy=off"
    else:
        flags |= kernel.MS["rdonly"]
    kernel.mount("overlay", place, "overlay", flags, options)
    try:
        return kernel.bind_clone(place, recursive=False)
    finally:
        kernel.unmount(place)


def _escaped(path: str) -> str:
    for special in ("\\", ":", ","):
        path = path.replace(special, f"\\{special}")
    return path


def _bind(path: str, writable: bool, device: bool, resolved: bool) -> int:
    fd = kernel.bind_clone(path, recursive=True, resolved=resolved)
    attributes = kernel.MOUNT_ATTR["nosuid"]
    if not device:
        attributes |= kernel.MOUNT_ATTR["nodev"]
    if not writable:
        attributes |= kernel.MOUNT_ATTR["rdonly"]
    kernel.set_mount_attributes(fd, attributes, recursive=True, what=path)
    return fd
