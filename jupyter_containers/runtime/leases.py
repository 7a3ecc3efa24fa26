"""Images that this process's containers run from, kept from the collector: one lease for all containers of an image.

A server's thousand kernels of one environment would else hold a thousand files open that say the same.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..image.store import Store

__all__ = ["leased"]


class _Share:
    def __init__(self) -> None:
        self.held = ExitStack()
        self.users = 0


_Key = tuple[Path, tuple[str, ...]]
_shares: dict[_Key, _Share] = {}
_parents: list[dict[_Key, _Share]] = []
_guard = threading.Lock()


@contextmanager
def leased(root: Path, digests: tuple[str, ...]) -> Iterator[None]:
    """Hold the images or layers *digests* of the store in *root*. Errors as of :meth:`..image.store.Store.lease`.

    Usable from any thread; what one enters another may leave.
    """
    key = (root, digests)
    share = _join(key, None)
    if share is None:
        own = _Share()
        # A store of its own: what others look up in theirs meanwhile must not be held for as long as this runs. Not
        # under the guard: it may have to wait for a collector.
        own.held.enter_context(Store(root).lease(digests))
        share = _join(key, own)
        assert share is not None
        if share is not own:
            own.held.close()  # another was quicker
    try:
        yield
    finally:
        with _guard:
            share.users -= 1
            last = not share.users
            if last and _shares.get(key) is share:
                del _shares[key]
        if last:
            share.held.close()


def _join(key: _Key, new: _Share | None) -> _Share | None:
    with _guard:
        share = _shares.get(key)
        if share is None and new is not None:
            share = _shares[key] = new
        if share is not None:
            share.users += 1
        return share


def _forget() -> None:
    """In a forked child: the leases are its parent's, and so are the containers. Nothing is let go: a lease that is
    takes its file away."""
    global _guard, _shares
    _guard = threading.Lock()
    _parents.append(_shares)
    _shares = {}


os.register_at_fork(after_in_child=_forget)
