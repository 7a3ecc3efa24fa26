"""What COPY copies from: the build context, less what .dockerignore leaves out, or the merged root of an image.

Both answer the same questions by paths relative to their root, without a leading slash. A link is followed only
where it is the source itself or on the way to it, and never out of the root; links below a source are links.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from ...errors import HostError
from ...image.facts import quote_name
from ...sandbox.targets import View, find, is_opaque, is_whiteout
from .patterns import Ignore

__all__ = ["Entry", "ImageSource", "Item", "LocalSource", "Source", "open_regular"]


@dataclass(frozen=True, slots=True)
class Item:
    """One file, folder or link of a source."""

    mode: int
    """Type and true mode."""
    file: Path
    """Where it lies on this host."""
    mtime: int | None = None
    """Seconds; None: of no meaning, as in a checkout."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item by its path relative to what was named; that itself is ``""``."""

    path: str
    item: Item

    @property
    def target(self) -> str:
        """A link's text."""
        return os.readlink(self.item.file)  # noqa: PTH115  the text as it is, not a normalised path


class Source(Protocol):
    name: str
    """For errors."""

    def resolve(self, path: str) -> str | None:
        """*path* without links; None where there is nothing, or it is left out."""

    def item(self, path: str) -> Item | None:
        """What a path without links leads to."""

    def names(self, path: str) -> list[str]:
        """What a folder holds, sorted; also folders that are left out but may hold what is not."""

    def excludes(self, path: str) -> bool:
        """Whether a path is left out."""


class LocalSource:
    """A folder of this host."""

    def __init__(
        self, root: Path, *, name: str, ignore: Ignore | None = None, modes: Mapping[str, int] | None = None
    ) -> None:
        self.root, self.name = root, name
        self._ignore = ignore or Ignore()
        self._modes = modes or {}
        """Where the true mode is not the one on disk, by quoted name."""

    def resolve(self, path: str) -> str | None:
        try:
            resolved = View({"/": (self.root,)}).resolve("/" + path).strip("/")
        except HostError:
            return None  # a loop of links
        if self.item(resolved) is None or (resolved and self._left_out(resolved)):
            return None
        return resolved

    def item(self, path: str) -> Item | None:
        place = self.root / path
        try:
            status = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        mode = status.st_mode
        if self._modes and (true := self._modes.get(quote_name(os.fsencode(path)))) is not None:
            mode = stat.S_IFMT(mode) | true
        return Item(mode, place)

    def names(self, path: str) -> list[str]:
        inside = f"{path}/" if path else ""
        return [name for name in sorted(os.listdir(self.root / path)) if not self._left_out(inside + name)]

    def excludes(self, path: str) -> bool:
        return bool(path) and self._ignore.excludes(path)

    def _left_out(self, path: str) -> bool:
        if not self._ignore.excludes(path):
            return False
        item = self.item(path)
        is_folder = item is not None and stat.S_ISDIR(item.mode)
        return not (is_folder and self._ignore.may_hold_exceptions(path))


class ImageSource:
    """A stack of layers as overlayfs would show it, with the modes that their tars have."""

    def __init__(self, layers: Sequence[Path], *, name: str, modes: Mapping[Path, Mapping[str, int]]) -> None:
        self.name = name
        self._layers = tuple(dict.fromkeys(reversed(layers)))
        """Topmost first, each once."""
        self._modes = modes

    def resolve(self, path: str) -> str | None:
        try:
            resolved = self.place(path)
        except HostError:
            return None
        return resolved if self.item(resolved) is not None else None

    def place(self, path: str) -> str:
        """As :meth:`resolve`; what does not exist is taken as it is written. :class:`HostError` for a loop."""
        return View({"/": self._layers}).resolve("/" + path).strip("/")

    def item(self, path: str) -> Item | None:
        if not path:
            return Item(stat.S_IFDIR | 0o755, self._layers[0] if self._layers else Path("/nonexistent"))
        found = find(self._layers, path)
        if found is None:
            return None
        place, status = found
        root = Path(place[: -len(path) - 1])
        true = self._modes.get(root, {}).get(quote_name(os.fsencode(path)))
        mode = status.st_mode if true is None else stat.S_IFMT(status.st_mode) | true
        return Item(mode, Path(place), int(status.st_mtime))

    def names(self, path: str) -> list[str]:
        found: dict[str, bool] = {}
        """Names, and whether they are there: the topmost layer that has a name decides."""
        for layer in self._layers:
            folder = layer / path
            try:
                status = folder.lstat()
            except FileNotFoundError:
                if _is_cut(layer, posixpath.dirname(path)):
                    break
                continue
            except NotADirectoryError:
                break
            if not stat.S_ISDIR(status.st_mode):
                break
            with os.scandir(folder) as entries:
                for entry in entries:
                    found.setdefault(entry.name, not is_whiteout(entry.stat(follow_symlinks=False)))
            if _is_cut(layer, path):
                break
        return sorted(name for name, present in found.items() if present)

    def excludes(self, path: str) -> bool:
        return False


def _is_cut(layer: Path, path: str) -> bool:
    """Whether *path*, or a folder above it, hides what lower layers have there."""
    while path:
        place = layer / path
        try:
            if not stat.S_ISDIR(place.lstat().st_mode) or is_opaque(place):
                return True
        except (FileNotFoundError, NotADirectoryError):
            pass
        path = posixpath.dirname(path)
    return False


def open_regular(file: Path) -> BufferedReader:
    """Open what was a regular file when it was listed; a link or pipe put in its place is refused."""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file any more", str(file))
    return os.fdopen(handle, "rb")
