"""TOML that may be a stranger's, read in bounded time and depth."""

from __future__ import annotations

import re
import tomllib
from typing import Any

__all__ = ["read_toml"]

_MOST_PARTS = 100
"""Parts of a dotted key. The standard library's reader takes the square of their number, and more."""
_OTHER = re.compile(r"[^\w\s.\"'-]+")
_PART = re.compile(r"[\w\"'-][ \t]*\.")


def read_toml(text: str) -> dict[str, Any]:
    """The document of *text*; :class:`tomllib.TOMLDecodeError`, also for what is nested too deeply."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > _MOST_PARTS and any(
            len(_PART.findall(piece)) > _MOST_PARTS for piece in _OTHER.split(line)
        ):
            raise tomllib.TOMLDecodeError(f"a key of more than {_MOST_PARTS} parts (at line {number}, column 1)")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise tomllib.TOMLDecodeError("nested too deeply (at line 1, column 1)") from None
