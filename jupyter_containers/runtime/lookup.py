"""Find a file in an image's layers from outside, as the kernel would in the overlay, never leaving them.

Links are followed by their text within the layers; no path with a link in it is ever handed to the host's kernel.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ..sandbox.targets import is_opaque, is_whiteout

__all__ = ["find_in_layers"]

_MOST_LINKS = 40  # path_resolution(7)


def find_in_layers(layers: Sequence[Path], path: str) -> Path | None:
    """The topmost layer's copy of the file or folder at the absolute *path*; None: there is none.

    *layers*: lowest first.
    """
    for _ in range(_MOST_LINKS):
        parts = [part for part in path.split("/") if part not in ("", ".")]
        found, rest = _walk([*reversed(layers)], parts)
        if found is None or not found.is_symlink():
            return found
        target = os.readlink(found)  # noqa: PTH115
        consumed = parts[: len(parts) - len(rest) - 1]
        path = os.path.normpath("/" + "/".join([*([] if target.startswith("/") else consumed), target, *rest]))
    return None


def _walk(folders: list[Path], parts: list[str]) -> tuple[Path | None, list[str]]:
    """Down as far as folders go: the place found, and what of *parts* is left behind a link."""
    for index, part in enumerate(parts):
        inner: list[Path] = []
        for folder in folders:
            if part == "..":
                return None, []  # only in a link's text that points past a folder; normpath has done the others
            place = folder / part
            try:
                status = place.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if is_whiteout(status):
                break
            if stat.S_ISDIR(status.st_mode):
                inner.append(place)
                if is_opaque(place):
                    break
                continue
            if inner:
                break  # a folder above hides it
            last = index == len(parts) - 1
            if last or stat.S_ISLNK(status.st_mode):
                return place, parts[index + 1 :]
            return None, []
        if not inner:
            return None, []
        folders = inner
    return folders[0], []
