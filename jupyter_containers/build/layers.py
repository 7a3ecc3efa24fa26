"""A stack of layers, looked at from the host as the sandbox will see it."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from ..sandbox.targets import View
from .tree import Tree

__all__ = ["make_parents", "read_text", "resolve"]


def resolve(layers: Sequence[Path], path: str) -> str:
    """The absolute *path* in the image without symbolic links; *layers* are lowest first."""
    return View({"/": tuple(reversed(layers))}).resolve(path)


def make_parents(tree: Tree, layers: Sequence[Path], path: str) -> None:
    """Make the folders above *path* (resolved) in a new layer, each with the mode it has below: an overlay shows the
    topmost layer's, and /tmp would lose its sticky bit."""
    parts = path.strip("/").split("/")[:-1]
    for count in range(1, len(parts) + 1):
        folder = "/".join(parts[:count])
        tree.folder(folder, _mode_below(layers, folder))


def _mode_below(layers: Sequence[Path], folder: str) -> int:
    for layer in reversed(layers):
        try:
            status = (layer / folder).lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISDIR(status.st_mode):
            return stat.S_IMODE(status.st_mode)
    return 0o755


def read_text(layers: Sequence[Path], path: str, limit: int = 1 << 20) -> str | None:
    """A small text file of the image, None where there is none; never read outside of the layers."""
    for layer in reversed(layers):
        with Tree(layer) as tree:
            content = tree.read(path, limit)
        if content is not None:
            return content.decode("utf-8", "surrogateescape")
    return None
