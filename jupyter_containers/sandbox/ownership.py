"""Whose files are made: for a caller with uid 0, who writes into a sandbox that runs under another id."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["file_system_identity"]


@contextmanager
def file_system_identity(identity: int | None) -> Iterator[None]:
    """Until the end this thread makes files as user and group *identity*; None: as it is.

    A sandbox of root's lies on an idmapped mount, in which root's own id means nothing: what root makes there ends
    with EOVERFLOW. setfsuid(2) is of the thread, and takes root's rights over others' files away as well.
    """
    if identity is None:
        yield
        return
    import ctypes  # late: 2 ms that only `cp` needs

    libc = ctypes.CDLL(None)
    uid, gid = libc.setfsuid(identity), libc.setfsgid(identity)
    try:
        if libc.setfsuid(-1) != identity or libc.setfsgid(-1) != identity:
            raise PermissionError(1, os.strerror(1), f"setfsuid {identity}")  # it tells of no error itself
        yield
    finally:
        libc.setfsuid(uid)
        libc.setfsgid(gid)
