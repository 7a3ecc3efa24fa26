"""The version of what steps do."""

from __future__ import annotations

__all__ = ["FORMAT", "WHEEL_FORMAT"]

FORMAT = 3
"""Goes up when the same inputs give another tree than before: every step is then built anew."""

WHEEL_FORMAT = 1
"""The same for prepared wheels: goes up when the same wheel and interpreter give other files."""
