"""What COPY copies from: the build context, less what .dockerignore leaves out, or the merged root of an image.

Both answer the same questions by paths relative to their root, without a leading slash. A link is followed only
where it is the source itself or on the way to it, and never out of the root; links below a source are links.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from ...errors import HostError
from ...image.facts import quote_name
from ...sandbox.sources import open_linkless
from ...sandbox.targets import View, is_opaque, is_whiteout
from .patterns import Ignore

__all__ = ["Entry", "ImageSource", "Item", "LocalSource", "Source", "open_regular"]

_PIECE = 1 << 18
_MOST_LINKS = 40
"""As the kernel has it (path_resolution(7))."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file, folder or link of a source."""

    mode: int
    """Type and true mode."""
    place: str
    """Where it lies on this host."""
    mtime: int | None = None
    """Seconds; None: of no meaning, as in a checkout."""
    root: Path | None = None
    """The folder of this host that it is of, which others may be writing to."""

    @property
    def file(self) -> Path:
        """:attr:`place` as a path: made where one is wanted, since a context may have very many files."""
        return Path(self.place)

    def open(self) -> BufferedReader:
        """A regular file's bytes; see :func:`open_regular`."""
        return open_regular(self.place, root=self.root)

    def hash(self) -> str:
        """Their SHA-256."""
        state = hashlib.sha256()
        handle = _open(self.place, self.root)
        try:
            while piece := os.read(handle, _PIECE):
                state.update(piece)
        finally:
            os.close(handle)
        return state.hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """An item by its path relative to what was named; that itself is ``""``."""

    path: str
    item: Item

    @property
    def target(self) -> str:
        """A link's text."""
        return os.readlink(self.item.place)  # noqa: PTH115  the text as it is, not a normalised path


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
        self.root, self.name, self._top = root, name, str(root).rstrip("/")
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
        place = f"{self._top}/{path}" if path else self._top or "/"
        try:
            status = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            return None
        mode = status.st_mode
        if self._modes and (true := self._modes.get(quote_name(os.fsencode(path)))) is not None:
            mode = stat.S_IFMT(mode) | true
        return Item(mode, place, root=self.root)

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
    """A stack of layers as overlayfs would show it, with the modes that their tars have.

    A folder is looked into only where every folder above it is one in the same layer: layers of a foreign image may
    have a link at a place where a layer above has a folder, and it would lead to this host's files.
    """

    def __init__(self, layers: Sequence[Path], *, name: str, modes: Mapping[Path, Mapping[str, int]]) -> None:
        self.name = name
        # Topmost first, each once.
        self._stacks: dict[str, tuple[tuple[Path, Path], ...]] = {
            "": tuple((layer, layer) for layer in dict.fromkeys(reversed(layers)))
        }
        """Of each folder that was looked at: its parts, the topmost first, each with the layer that it is of."""
        self._modes = modes

    def resolve(self, path: str) -> str | None:
        try:
            resolved = self.place(path)
        except OSError:
            return None
        return resolved if self.item(resolved) is not None else None

    def place(self, path: str) -> str:
        """As :meth:`resolve`; what does not exist is taken as it is written. :class:`OSError` for a loop of links."""
        waiting = [part for part in reversed(path.split("/")) if part not in {"", "."}]
        done: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                del done[-1:]
                continue
            item = self.item("/".join([*done, part]))
            if item is None or not stat.S_ISLNK(item.mode):
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, "a loop of symbolic links", f"/{path} of {self.name}")
            text = os.readlink(item.place)  # noqa: PTH115  the text as it is
            if text.startswith("/"):
                done.clear()
            waiting += [part for part in reversed(text.split("/")) if part not in {"", "."}]
        return "/".join(done)

    def item(self, path: str) -> Item | None:
        if not path:
            layers = self._stacks[""]
            return Item(stat.S_IFDIR | 0o755, str(layers[0][1]) if layers else "/nonexistent")
        parent, _, name = path.rpartition("/")
        for layer, folder in self._stack(parent):
            place = folder / name
            try:
                status = place.lstat()
            except FileNotFoundError:
                continue
            if is_whiteout(status):
                return None
            true = self._modes.get(layer, {}).get(quote_name(os.fsencode(path)))
            mode = status.st_mode if true is None else stat.S_IFMT(status.st_mode) | true
            return Item(mode, str(place), int(status.st_mtime))
        return None

    def names(self, path: str) -> list[str]:
        found: dict[str, bool] = {}
        """Names, and whether they are there: the topmost layer that has a name decides."""
        for _, folder in self._stack(path):
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name not in found:
                        found[entry.name] = not is_whiteout(entry.stat(follow_symlinks=False))
        return sorted(name for name, present in found.items() if present)

    def excludes(self, path: str) -> bool:
        return False

    def _stack(self, path: str) -> tuple[tuple[Path, Path], ...]:
        known = self._stacks.get(path)
        if known is not None:
            return known
        parent, _, name = path.rpartition("/")
        parts: list[tuple[Path, Path]] = []
        for layer, folder in self._stack(parent):
            place = folder / name
            try:
                status = place.lstat()
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(status.st_mode):
                break
            parts.append((layer, place))
            if is_opaque(place):
                break
        self._stacks[path] = tuple(parts)
        return self._stacks[path]


def open_regular(file: Path | str, *, root: Path | None = None) -> BufferedReader:
    """Open what was a regular file when it was listed; a link or pipe put in its place is refused, and below *root* (a
    path without links) a link in the place of a folder on the way too."""
    return os.fdopen(_open(file, root), "rb")


def _open(file: Path | str, root: Path | None) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if root is None:
        handle = os.open(file, flags)
    else:
        above, _, name = str(file).rpartition("/")
        handle = os.open(name, flags, dir_fd=_FOLDERS.open(above))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file any more", str(file))
    return handle


class _Folders(threading.local):
    """The folder that was opened last, by each thread: files come folder by folder, and its path has many parts."""

    def __init__(self) -> None:
        self._path, self._handle, self._key = "", -1, (0, 0)

    def open(self, path: str) -> int:
        """A descriptor of the folder *path*, opened with no link on the way; it stays open until the next call."""
        if path == self._path:
            status = os.stat(path)  # noqa: PTH116  a path object for each file costs more than the look
            if (status.st_dev, status.st_ino) == self._key:
                return self._handle  # it is still this one that the path leads to
        self.close()
        self._handle = open_linkless(path)
        status = os.fstat(self._handle)
        self._path, self._key = path, (status.st_dev, status.st_ino)
        return self._handle

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._path, self._handle = "", -1

    def __del__(self) -> None:
        self.close()


_FOLDERS = _Folders()
