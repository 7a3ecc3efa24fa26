"""/run during a RUN: what an image has there, and what a command leaves, as with other builders.

The sandbox puts a tmpfs on /run, for the files it brings. A copy of the image's /run, which has little in it, is bound
over that; where the command has changed it, it becomes part of the layer as a folder that hides the old one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ...image.store import Staging
from ...image.whiteout import set_opaque
from ...sandbox.model import Bind
from ..tree import Tree
from .selection import list_items
from .sources import ImageSource
from .writing import Writer

__all__ = ["RunFolder"]


class RunFolder:
    """/run of one step, in the step's staging folder."""

    def __init__(self, below: ImageSource, staging: Staging) -> None:
        self._staging = staging
        self._folder = staging.path / "run"
        item = below.item("run")
        self._is_there = item is not None and stat.S_ISDIR(item.mode)
        self._folder.mkdir(mode=0o755)
        if self._is_there:
            with Tree(self._folder) as tree:
                Writer(tree, ImageSource((), name="/run", modes={})).write_all(list_items(below, "run"), "")
        self._before = _snapshot(self._folder)

    @property
    def bind(self) -> Bind:
        return Bind(self._folder, "/run", writable=True)

    def finish(self, made: Iterable[str]) -> None:
        """Put what the command has changed into the layer; *made*: mount points below it, the deepest first."""
        with Tree(self._folder) as tree:
            for path in made:
                remove_unused(tree, self._folder, path.removeprefix("run/"))
        if _snapshot(self._folder) == self._before:
            return
        target = self._staging.upper / "run"
        with Tree(self._staging.upper) as tree:
            tree.remove("run")
        self._folder.rename(target)
        target.chmod(0o755)
        if self._is_there:
            set_opaque(str(target).encode())


def _snapshot(folder: Path) -> dict[str, tuple[int, ...]]:
    """What tells whether something changed, without a look into files, which may be closed to us."""
    found: dict[str, tuple[int, ...]] = {}
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = os.path.join(parent, name)  # noqa: PTH118  names need not be text
            status = os.lstat(path)
            # A folder's own time changes with the mount points in it.
            times = () if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns)
            found[path] = (status.st_mode, status.st_ino, *times)
    return found


def remove_unused(tree: Tree, root: Path, path: str) -> None:
    """Remove a mount point that is as it was made: an empty file or folder."""
    try:
        status = (root / path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(status.st_mode):
        if not any((root / path).iterdir()):
            tree.remove(path)
    elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
        tree.remove(path)
