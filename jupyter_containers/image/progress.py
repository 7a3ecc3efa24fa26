"""How work that takes long tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "quiet"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""``(what, done, total)``; total 0: not known. Called from any thread; may raise to stop the work."""


def quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""
