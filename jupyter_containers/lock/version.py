"""Debian versions: their order (deb-version(7), Debian Policy 5.6.12) and the relations over it (7.1)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

__all__ = ["Key", "compare", "satisfies", "upstream", "version_key"]

Key: TypeAlias = tuple[int, tuple[tuple[tuple[int, ...], int], ...], tuple[tuple[tuple[int, ...], int], ...]]

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")


@lru_cache(maxsize=65536)
def version_key(version: str) -> Key:
    """A value that sorts as dpkg does: epoch, upstream version, revision."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    body, dash, revision = rest.rpartition("-")
    if not dash:
        body, revision = rest, ""
    return int(epoch) if epoch.isdigit() else 0, _key(body), _key(revision)


def compare(left: str, right: str) -> int:
    """-1, 0 or 1, as ``dpkg --compare-versions`` sees them."""
    a, b = version_key(left), version_key(right)
    return (a > b) - (a < b)


def satisfies(version: str, operator: str, wanted: str) -> bool:
    """Whether *version* stands in the relation (``<<``, ``<=``, ``=``, ``>=``, ``>>``; empty: any) to *wanted*."""
    if not operator:
        return True
    order = compare(version, wanted)
    match operator:
        case "=":
            return order == 0
        case ">=" | ">":  # a single sign is the old spelling of >= and <=, policy 7.1
            return order >= 0
        case "<=" | "<":
            return order <= 0
        case ">>":
            return order > 0
        case "<<":
            return order < 0
        case _:
            raise ValueError(f"no such relation: {operator!r}")


def upstream(version: str) -> str:
    """``1:3.13.5-1+b2`` → ``3.13.5``."""
    body = version.partition(":")[2] or version
    return body.rpartition("-")[0] or body


def _key(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    # Text and number take turns. In text ~ comes before the end, the end before letters, letters before the rest.
    parts = [
        ((*(_weight(character) for character in letters), 0), int(digits or 0))
        for letters, digits in _PARTS.findall(text or "0")  # no revision is as good as revision 0
        if letters or digits
    ]
    return (*parts, ((0,), 0))


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
