"""Sizes in bytes, and as people write them. Units are binary: K is 1024 bytes, with or without ``iB``."""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["LARGEST", "SIZE", "format_size", "parse_size", "write_size"]

LARGEST = 2**63 - 1
"""The kernel keeps such values in a signed 64-bit integer."""
SIZE = r"[0-9]+(\.[0-9]+)?\s*([KMGTPkmgtp](i?[Bb])?|[Bb])?"
_SIZE = r"(?i)(?P<number>[0-9]{1,20}(?:\.[0-9]{1,9})?)\s*(?:(?P<unit>[KMGTP])(?:I?B)?|B)?"
_UNITS = "KMGTP"


def parse_size(text: str) -> int:
    """Bytes of ``2G``, ``512 MiB``, ``1.5 g`` or ``1000``. :class:`ValueError` says what is accepted."""
    found = re.fullmatch(_SIZE, text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size: write a number with K, M, G or T, such as 512M or 2G")
    unit = found["unit"]
    factor = 1024 ** (_UNITS.index(unit.upper()) + 1) if unit else 1
    size = int(Decimal(found["number"]) * factor)
    if size > LARGEST:
        raise ValueError(f"{text!r} is more than 8 EiB")
    return size


def write_size(size: int) -> str:
    """*size* bytes, exactly, with the largest unit that divides it: ``parse_size(write_size(n)) == n``."""
    unit = ""
    for letter in _UNITS:
        if size == 0 or size % 1024:
            break
        size //= 1024
        unit = letter
    return f"{size}{unit}"


def format_size(size: int) -> str:
    """*size* bytes for people to read, in three digits: ``1.21 GiB``, ``34.0 MiB``, ``512 B``."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for letter in _UNITS:
        value /= 1024
        if value < 999.5 or letter == _UNITS[-1]:
            break
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {letter}iB"
