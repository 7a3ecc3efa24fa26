"""A folder of one user's seen as another's, read-only: an idmapped mount that stays (mount_setattr(2)).

For an administrator who shares a store: with it a container of the reader's may change what it gets from a layer, for
the files are its user's. Without, the kernel refuses to copy up what belongs to an id that the container does not have
(EOVERFLOW), and the layers have to be copied.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..errors import HostError, InputError
from . import kernel
from .failure import Failure
from .spaces import user_namespace

__all__ = ["find_user", "mount_for"]


def find_user(text: str) -> tuple[int, int]:
    """The ids of the user and group that *text*, a name or a user's number, means. :class:`InputError`."""
    import pwd

    try:
        entry = pwd.getpwuid(int(text)) if text.isdecimal() else pwd.getpwnam(text)
    except (KeyError, OverflowError):
        if text.isdecimal() and int(text) < 1 << 32:
            return int(text), int(text)  # of a directory that is not asked here, or of another host's
        raise InputError(f"there is no user {text!r}", hint="`getent passwd` lists them") from None
    return entry.pw_uid, entry.pw_gid


def mount_for(source: Path, target: Path, *, uid: int, gid: int) -> None:
    """Mount the folder *source* at *target*, which is made where missing, with its owner seen as *uid* and *gid*.

    Only root may. What is mounted there already is replaced. Raises :class:`HostError`.
    """
    if os.geteuid() != 0:
        raise HostError("only root may mount a store for another user", hint="run it with sudo")
    status = source.stat()
    attributes = sum(kernel.MOUNT_ATTR[name] for name in ("idmap", "rdonly", "nosuid", "nodev"))
    try:
        namespace = user_namespace(status.st_uid, status.st_gid, uid, gid)
        try:
            fd = kernel.bind_clone(str(source), recursive=False)
            try:
                kernel.set_mount_attributes(fd, attributes, user_namespace=namespace, recursive=False, what=str(source))
                target.mkdir(mode=0o755, parents=True, exist_ok=True)
                with contextlib.suppress(OSError):  # EINVAL: nothing is mounted there
                    kernel.unmount(str(target))
                kernel.move_mount(fd, str(target))
            finally:
                os.close(fd)
        finally:
            os.close(namespace)
    except (OSError, Failure) as error:
        raise HostError(
            f"cannot mount {source} for user id {uid}: {getattr(error, 'strerror', None) or error}",
            hint="idmapped mounts need Linux 5.19 or newer and ext4, xfs or btrfs",
        ) from error
