"""A stack of layers, looked at from the host as the sandbox will see it."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from ..sandbox.targets import View, find
from .tree import Tree

__all__ = ["is_folder", "make_parents", "resolve"]


def resolve(layers: Sequence[Path], path: str) -> str:
    """The absolute *path* in the image without symbolic links; *layers* are lowest first."""
    return View({"/": tuple(reversed(layers))}).resolve(path)


def make_parents(tree: Tree, layers: Sequence[Path], path: str) -> None:
    """Make the folders above *path* (resolved) in a new layer, each with the mode it has below: an overlay shows the
    topmost layer's, and /tmp would lose its sticky bit."""
    parts = path.strip("/").split("/")[:-1]
    for count in range(1, len(parts) + 1):
        folder = "/".join(parts[:count])
        mode = _mode(layers, folder)
        tree.folder(folder, stat.S_IMODE(mode) if mode is not None and stat.S_ISDIR(mode) else 0o755)


def is_folder(layers: Sequence[Path], path: str) -> bool:
    """Whether *path* (resolved) is a folder of the image."""
    mode = _mode(layers, path.strip("/"))
    return mode is not None and stat.S_ISDIR(mode)


def _mode(layers: Sequence[Path], path: str) -> int | None:
    found = find(tuple(reversed(layers)), path)
    return found[1].st_mode if found is not None else None
