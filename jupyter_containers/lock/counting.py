"""How many packages a lock has: told from its lines, since parsing a long one takes as long as looking at the rest of
ten environments."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

__all__ = ["PackageCounts", "count_packages"]

_LARGEST = 64 << 20
_LIST = re.compile(r"([a-z0-9-]+) = \[$")


class PackageCounts(msgspec.Struct, frozen=True):
    apt: int
    """Debian packages, those of the base among them."""
    pip: int
    """Python packages."""


def count_packages(file: Path, architecture: str) -> PackageCounts | None:
    """The packages that the lock *file* has for *architecture*; None where there is no lock that can be read.

    It counts the lines as :func:`.file.dump_lock` writes them: a line for each .deb, a header for each Python package.
    """
    try:
        with file.open("rb") as stream:
            lines = stream.read(_LARGEST).decode().split("\n")
    except (OSError, UnicodeDecodeError):
        return None
    apt = pip = 0
    debian = counted = False
    for line in lines:
        if line.startswith("["):
            debian = line in {"[base.packages]", "[apt]"}
            pip += line == "[[python.packages]]"
        elif debian and (found := _LIST.match(line)):
            counted = found[1] == architecture
        elif debian and counted and line.startswith("    { name"):
            apt += 1
    return PackageCounts(apt, pip)
