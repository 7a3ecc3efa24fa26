"""What of a source a COPY takes: paths that fit a pattern, all that is below them, and a hash of it."""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator

from .patterns import Ignore, has_wildcards, translate
from .sources import Entry, Source

__all__ = ["fingerprint", "list_items", "match"]


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
        while held and held[-1].path and not inner.startswith(held[-1].path + "/"):
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
            content = entry.item.hash()
        elif stat.S_ISLNK(mode):
            mode = stat.S_IFLNK
            content = hashlib.sha256(os.fsencode(entry.target)).hexdigest()
        else:
            content = ""
        total.update(f"{mode:o} {content} ".encode() + os.fsencode(entry.path) + b"\0")
    return total.hexdigest()
