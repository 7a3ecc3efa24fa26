"""Bytes on disk of folders that share files by hard links: of each, of several, and what is free when some go."""

from __future__ import annotations

import os
import stat
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["Census", "statuses"]

_SECTOR = 512
"""What ``st_blocks`` counts, whatever the file system's block is (stat(2))."""
_LINK_BITS = 32


class Census:
    """Folders by name, each counted once, all on one file system. What vanishes meanwhile is passed over.

    A file with one link is its folder's own. Of the others it is known how many links they have in all, so that a
    folder's links can be told to be all of them: a store has millions, hence arrays and packed numbers.
    """

    def __init__(self) -> None:
        self._single: dict[str, int] = {}
        self._linked: dict[str, array[int]] = {}
        """Inode numbers, one for each name."""
        self._files: dict[int, int] = {}
        """Of each inode: its bytes, shifted, and its number of links."""

    def count(self, name: str, *paths: Path) -> None:
        """Take in the folder *name*: everything at and below *paths*."""
        single, linked = 0, array("Q")
        for path in paths:
            for status in statuses(os.fsencode(path)):
                size = status.st_blocks * _SECTOR
                if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                    linked.append(status.st_ino)
                    self._files[status.st_ino] = size << _LINK_BITS | status.st_nlink
                else:
                    single += size
        self._single[name], self._linked[name] = single, linked

    def __contains__(self, name: str) -> bool:
        return name in self._single

    def size(self, names: Iterable[str]) -> int:
        """Bytes of the folders *names* together, each file once."""
        single, links = self._together(names)
        return single + sum(self._files[inode] >> _LINK_BITS for inode in links)

    def total(self) -> int:
        """Bytes of all folders, each file once."""
        return sum(self._single.values()) + sum(file >> _LINK_BITS for file in self._files.values())

    def own(self, names: Iterable[str]) -> int:
        """Bytes that are free when just these folders are gone: no link leads there from elsewhere."""
        single, links = self._together(names)
        mask = (1 << _LINK_BITS) - 1
        return single + sum(
            self._files[inode] >> _LINK_BITS for inode, count in links.items() if count >= self._files[inode] & mask
        )

    def drop(self, name: str) -> int:
        """Take the folder away for good; the bytes that are free then."""
        freed = self._single.pop(name, 0)
        mask = (1 << _LINK_BITS) - 1
        for inode in self._linked.pop(name, ()):
            left = self._files[inode] - 1
            self._files[inode] = left
            if not left & mask:
                freed += left >> _LINK_BITS
        return freed

    def _together(self, names: Iterable[str]) -> tuple[int, Counter[int]]:
        single, links = 0, Counter[int]()
        for name in set(names):
            single += self._single.get(name, 0)
            links.update(self._linked.get(name, ()))
        return single, links


def statuses(top: bytes) -> Iterator[os.stat_result]:
    """Of *top* and all below it that can be read."""
    stack = [top]
    try:
        yield os.lstat(top)
    except FileNotFoundError:
        return
    while stack:
        folder = stack.pop()
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, PermissionError, NotADirectoryError):
            continue
        for entry in entries:
            try:
                yield entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if entry.is_dir(follow_symlinks=False):
                stack.append(entry.path)
