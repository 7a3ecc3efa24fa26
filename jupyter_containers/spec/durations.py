"""Durations in seconds, and as people write them: a number and ``s``, ``m``, ``h`` or ``d``."""

from __future__ import annotations

import re

__all__ = ["DURATION", "LONGEST", "format_duration", "parse_duration"]

LONGEST = 10 * 365 * 86400
"""Ten years: more is no limit."""
DURATION = r"[0-9]+(\.[0-9]+)?\s*[smhdSMHD]?"
_DURATION = r"(?i)(?P<number>[0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(?P<unit>[SMHD])?"
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_duration(text: str) -> int:
    """Whole seconds of ``90s``, ``30m``, ``1.5 h``, ``2d`` or ``600``. :class:`ValueError` says what is accepted."""
    found = re.fullmatch(_DURATION, text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration: write a number with s, m, h or d, such as 30m or 2h")
    seconds = round(float(found["number"]) * _UNITS[(found["unit"] or "s").lower()])
    if seconds > LONGEST:
        raise ValueError(f"{text!r} is more than ten years")
    return seconds


def format_duration(seconds: int) -> str:
    """*seconds*, exactly, with the largest unit that divides them: ``parse_duration(format_duration(n)) == n``."""
    for unit, size in _UNITS.items():
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
