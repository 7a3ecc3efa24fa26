"""How work that takes long tells how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Counter", "Progress", "quiet"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""``(what, done, total)``; total 0: not known. Called from any thread; may raise to stop the work."""


def quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""


class Counter:
    """Bytes of several transfers at once, told to one listener."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what, self._total, self._progress = what, total, progress
        self._done, self._lock = 0, threading.Lock()

    def add(self, size: int, *, total: int = 0) -> None:
        """*size* more are done (or fewer), and *total* more are to be done."""
        with self._lock:
            self._done += size
            self._total += total
            self._progress(self._what, self._done, self._total)
