"""What COPY copies from: the build context, less what .dockerignore leaves out, or the merged root of an image.

Both answer the same questions by paths relative to their root, without a leading slash. A link is followed only
where it is the source itself or on the way to it, and never out of the root; links below a source are links.
"""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from ...errors import HostError
from ...image.facts import quote_name
from ...sandbox.targets import View, find, is_opaque, is_whiteout
from .patterns import Ignore, has_wildcards, translate

__all__ = [
    "Entry", "ImageSource", "Item", "LocalSource", "Source", "fingerprint", "list_items", "match",
    "open_regular",
]  # fmt: skip


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


def match(source: Source, pattern: str) -> list[tuple[str, str]]:
    """The paths that *pattern* fits: as they are named, and without links; sorted, none where nothing fits.

    :class:`ValueError` for a pattern that is none.
    """
    # As an absolute path: `..` can't lead out of a root, `COPY ../x` means x (BuildKit, cleanPath).
    parts = [part for part in posixpath.normpath("/" + pattern).split("/") if part]
    found = [""]
    for part in parts:
        if not has_wildcards(part):
            name = part.replace("\\", "")
            found = [posixpath.join(folder, name) for folder in found]
            continue
        regex = translate(part.replace("**", "*"))
        below: list[str] = []
        for folder in found:
            resolved = source.resolve(folder)
            item = source.item(resolved) if resolved is not None else None
            if resolved is None or item is None or not stat.S_ISDIR(item.mode):
                continue
            below += [posixpath.join(folder, name) for name in source.names(resolved) if regex.fullmatch(name)]
        found = below
    pairs = [(path, source.resolve(path)) for path in found]
    return [(path, resolved) for path, resolved in pairs if resolved is not None]


def list_items(source: Source, path: str, *, exclude: Ignore | None = None) -> Iterator[Entry]:
    """The item at *path* (no links in it) and all below, folders before what they hold, by name.

    A folder that is left out itself comes when something in it is taken in again. *exclude*: more to leave out, by
    paths relative to *path*. :class:`OSError` for what is neither file, folder nor link; sockets are passed over.
    """
    held: list[Entry] = []
    """Excluded folders on the way, which come only with something in them."""
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        whole = posixpath.join(path, inner) if inner else path
        item = source.item(whole)
        if item is None:
            continue
        kind = stat.S_IFMT(item.mode)
        while held and not (inner + "/").startswith(held[-1].path + "/"):
            held.pop()
        excluded = source.excludes(whole) or (exclude is not None and bool(inner) and exclude.excludes(inner))
        if kind == stat.S_IFDIR:
            waiting += reversed([posixpath.join(inner, name) for name in source.names(whole)])
            if excluded:
                held.append(Entry(inner, item))
                continue
        elif excluded or kind == stat.S_IFSOCK:
            continue
        elif kind not in {stat.S_IFREG, stat.S_IFLNK}:
            raise OSError(errno.EINVAL, "it is neither a file, a folder nor a link", f"/{whole} of {source.name}")
        yield from held
        held.clear()
        yield Entry(inner, item)


def fingerprint(entries: Iterable[Entry]) -> str:
    """The SHA-256 of all that a copy would take over: names, kinds, modes, contents; not times."""
    total = hashlib.sha256()
    for entry in entries:
        mode = entry.item.mode
        if stat.S_ISREG(mode):
            with open_regular(entry.item.file) as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        elif stat.S_ISLNK(mode):
            mode = stat.S_IFLNK
            content = hashlib.sha256(os.fsencode(entry.target)).hexdigest()
        else:
            content = ""
        total.update(f"{mode:o} {content} ".encode() + os.fsencode(entry.path) + b"\0")
    return total.hexdigest()


def open_regular(file: Path) -> BufferedReader:
    """Open what was a regular file when it was listed; a link or pipe put in its place is refused."""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file any more", str(file))
    return os.fdopen(handle, "rb")
