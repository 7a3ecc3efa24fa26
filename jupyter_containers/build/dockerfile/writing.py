"""Writing what was selected into a new layer, as the layers below will show it."""

from __future__ import annotations

import io
import os
import posixpath
import stat
from collections.abc import Iterable
from typing import BinaryIO

from ...errors import BuildError
from ..tree import Tree
from .sources import Entry, ImageSource

__all__ = ["Writer"]


class Writer:
    """A layer's tree over the image so far. Folders that are there keep their modes and are not hidden.

    Raises :class:`BuildError` where a file would take a folder's place, or a folder a file's.
    """

    def __init__(self, tree: Tree, below: ImageSource, *, chmod: int | None = None) -> None:
        self._tree, self._below, self._chmod = tree, below, chmod
        self._folders: dict[str, str] = {}
        """Folders of this layer and below, as named and without links."""
        self._links: dict[tuple[int, int], str] = {}
        self.files = 0

    def is_folder(self, path: str) -> bool:
        """Whether the image so far has a folder at *path*."""
        item = self._below.item(self._below.place(path))
        return item is not None and stat.S_ISDIR(item.mode)

    def parents(self, path: str) -> str:
        """Make the folders above *path*; returns it without links."""
        folder, _, name = path.strip("/").rpartition("/")
        return posixpath.join(self.folder(folder), name)

    def folder(self, path: str, mode: int | None = None) -> str:
        """Make the folder *path* with its parents, 0755 or *mode* where it is new; returns it without links."""
        path = path.strip("/")
        if not path:
            return ""
        known = self._folders.get(path)
        if known is None:
            known = self._folders[path] = self._folder(path, mode)
        return known

    def _folder(self, path: str, mode: int | None) -> str:
        parent, _, name = path.rpartition("/")
        named = posixpath.join(self.folder(parent), name)
        place = self._below.place(named)
        if place != named:
            return self.folder(place, mode)
        item = self._below.item(place)
        if item is None:
            self._tree.folder(place, 0o755 if mode is None else mode)
        elif stat.S_ISDIR(item.mode):
            # An overlay shows the topmost layer's mode: /tmp would lose its sticky bit.
            self._tree.folder(place, stat.S_IMODE(item.mode))
        else:
            raise BuildError(f"/{path} is a file in the image, and a folder is needed there")
        return place

    def write(self, entry: Entry, path: str, *, hard_links: bool = False) -> None:
        """Write *entry* to *path*. *hard_links*: names of one file become names of one file again."""
        mode = entry.item.mode
        bits = stat.S_IMODE(mode) if self._chmod is None else self._chmod
        if stat.S_ISDIR(mode):
            self.folder(path, bits)
            return
        place = self.parents(path)
        below = self._below.item(place)
        if below is not None and stat.S_ISDIR(below.mode):
            raise BuildError(f"/{path} is a folder in the image, and a file can't take its place")
        self.files += 1
        if stat.S_ISLNK(mode):
            self._tree.link(place, entry.target, mtime=entry.item.mtime)
            return
        with entry.item.open() as stream:
            status = os.fstat(stream.fileno())
            key = (status.st_dev, status.st_ino)
            if hard_links and status.st_nlink > 1 and key in self._links:
                self._tree.hard_link(place, self._links[key])
                return
            self._links[key] = place
            self._tree.file(place, stream, bits, mtime=entry.item.mtime)

    def write_all(self, entries: Iterable[Entry], path: str, *, hard_links: bool = False) -> None:
        """Write *entries* below *path*, to which they are relative."""
        for entry in entries:
            self.write(entry, posixpath.join(path, entry.path) if entry.path else path, hard_links=hard_links)

    def file(self, path: str, content: bytes | BinaryIO, mode: int) -> None:
        """Write a file of our own."""
        place = self.parents(path)
        self.files += 1
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        self._tree.file(place, stream, mode if self._chmod is None else self._chmod)
