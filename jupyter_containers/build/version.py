"""The version of what steps do."""

from __future__ import annotations

__all__ = ["FORMAT"]

FORMAT = 2
"""Goes up when the same inputs give another tree than before: every step is then built anew."""
