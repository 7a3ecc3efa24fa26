"""A stack of layers as one tar: what `export` writes, a root file system without history."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from .facts import Facts, quote_name
from .layer import Found, Item, describe, read_xattrs, whole_seconds
from .whiteout import is_opaque, is_whiteout

__all__ = ["Part", "Tree", "flatten", "merge", "roots"]


class Tree(msgspec.Struct, frozen=True):
    """One layer, or a container's writable one: on disk in overlayfs's form, and what the disk does not tell."""

    path: Path
    facts: Facts


class Part(msgspec.Struct, frozen=True):
    """A folder of one of the trees."""

    tree: int
    path: bytes


def flatten(trees: Sequence[Tree]) -> Iterator[Item]:
    """The entries of the tar, for :func:`.layer.stream_tar`: folders before what they hold, sorted by name.

    *trees*: lowest first. Two names that are one file stay one where both are of one layer. Sockets and devices are
    left out.
    """
    first_names: dict[tuple[int, int], bytes] = {}
    stack = [iter(merge(roots(trees), b""))]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        found, tree, below = entry
        mode = found.status.st_mode
        if stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            continue
        yield _item(found, trees[tree].facts, (tree, found.status.st_ino), first_names)
        if below:
            stack.append(iter(merge(below, found.name + b"/")))


def roots(trees: Sequence[Tree]) -> tuple[Part, ...]:
    """The parts of the root, topmost first."""
    return tuple(Part(index, os.fsencode(tree.path)) for index, tree in reversed(tuple(enumerate(trees))))


def _item(found: Found, facts: Facts, key: tuple[int, int], first_names: dict[tuple[int, int], bytes]) -> Item:
    status, quoted = found.status, quote_name(found.name)
    link = b""
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        # Within one layer only true links share an inode: files that are shared by content have one name each in it.
        link = first_names.setdefault(key, found.name)
        link = b"" if link == found.name else link
    mode = facts.modes.get(facts.links.get(quoted, quoted), stat.S_IMODE(status.st_mode))
    member = describe(found, mode=mode, mtime=whole_seconds(status), link=link)
    if not link and (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        member.xattrs = read_xattrs(found.path) | dict(facts.xattrs_of(found.name))
    return member, (found.path if member.size else None)


def merge(parts: Sequence[Part], prefix: bytes) -> Iterator[tuple[Found, int, tuple[Part, ...]]]:
    """What the folders *parts*, topmost first, show together: each with its tree, and its own parts if a folder."""
    seen: dict[bytes, list[tuple[Part, os.stat_result]]] = {}
    for part in parts:
        with os.scandir(part.path) as entries:
            for entry in entries:
                seen.setdefault(entry.name, []).append((part, entry.stat(follow_symlinks=False)))
    for name in sorted(seen):
        (top, status), *_ = stack = seen[name]
        if is_whiteout(status):
            continue
        found = Found(prefix + name, top.path + b"/" + name, status)
        yield found, top.tree, _below(name, stack)


def _below(name: bytes, stack: Sequence[tuple[Part, os.stat_result]]) -> tuple[Part, ...]:
    parts: list[Part] = []
    for part, status in stack:
        if not stat.S_ISDIR(status.st_mode):
            break
        path = part.path + b"/" + name
        parts.append(Part(part.tree, path))
        if is_opaque(path):
            break
    return tuple(parts)
