"""Leases: what a running process uses is not collected, whatever happens to its names.

A lease is a file in ``leases/`` that lists digests, locked by its owner. When the owner is gone, the kernel has
released the lock, and the next collector removes the file.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from .digest import parse_digest
from .locks import try_lock

__all__ = ["Lease", "leased_digests"]


class Lease:
    """Made by :meth:`.store.Store.lease`. Usable from any thread."""

    def __init__(self, folder: Path) -> None:
        """The caller holds the store's lock, shared: no collector sees the file before it is locked."""
        self._path = folder / os.urandom(8).hex()
        self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        self._held: set[str] = set()
        self._shared: list[int] = []
        self._guard = threading.Lock()
        self._left = False

    def add(self, digests: Iterable[str]) -> list[str]:
        """Hold images or layers, by their digests and diff_ids, too; those that were not held. They must be known to
        be there: held already, or looked up under the store's lock."""
        with self._guard:
            new = sorted({parse_digest(digest) for digest in digests} - self._held)
            if new:
                os.write(self._handle, "".join(f"{digest}\n" for digest in new).encode())
                self._held.update(new)
            return new

    def fileno(self) -> int:
        """The descriptor that holds the lease: a child that inherits it (``pass_fds``) prolongs it to its own end,
        after :meth:`leave_to_children`."""
        return self._handle

    def keep(self, handle: int) -> None:
        """Hold *handle* as well, until the end: the lock of what lies in a shared store."""
        with self._guard:
            self._shared.append(handle)

    def filenos(self) -> tuple[int, ...]:
        """All descriptors that hold it, as of :meth:`fileno`."""
        with self._guard:
            return (self._handle, *self._shared)

    def leave_to_children(self) -> None:
        """When this process lets go, what inherited the descriptor goes on holding; the collector tidies up."""
        self._left = True

    def release(self) -> None:
        """Let go."""
        if not self._left:
            self._path.unlink(missing_ok=True)
        for handle in self.filenos():
            os.close(handle)


def leased_digests(folder: Path, *, tidy: bool = True) -> set[str]:
    """What living owners hold. With *tidy* dead owners' files are removed: then the store's lock is held alone."""
    held: set[str] = set()
    for path in folder.iterdir():
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if try_lock(handle, shared=not tidy):
                if tidy:
                    path.unlink(missing_ok=True)
            else:
                # By descriptor: its owner may be letting go at this moment.
                with os.fdopen(os.dup(handle), "r") as stream:
                    held.update(stream.read().split())
        finally:
            os.close(handle)
    return held
