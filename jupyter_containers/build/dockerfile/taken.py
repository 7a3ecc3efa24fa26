"""What a spec's Dockerfile takes in of the spec's folder: itself, and the files that its instructions name.

The whole build context is taken only where an instruction says so: an edit of a notebook beside the Dockerfile does not
make an environment out of date. What base images ask for with ONBUILD is not known before the build.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import msgspec

from ...spec.model import LoadedSpec
from .context import find_ignore, open_context
from .model import Copy, Instruction, Run
from .platform import host_platform
from .scope import declare_global
from .selection import list_items, match
from .sources import Entry, LocalSource, open_regular
from .stages import lay_out

__all__ = ["Taken", "list_taken"]


class Taken(msgspec.Struct, frozen=True):
    """One file, folder or link that is taken in."""

    path: str
    """Relative to the spec's folder."""
    file: Path
    mode: int
    """As lstat(2) gives it."""
    target: str = ""
    """A link's."""

    def open(self) -> BufferedReader:
        """The file; :class:`OSError` where it is no regular file any more."""
        return open_regular(self.file)


def list_taken(
    loaded: LoadedSpec, *, dockerfile: Path, context: Path, without: frozenset[str] = frozenset()
) -> tuple[Taken, ...]:
    """All that the Dockerfile of *loaded* takes in, sorted by path, but for what has a name in *without*.

    *dockerfile*, *context*: where they lie, without links, inside of the spec's folder.

    :class:`InputError` for a Dockerfile that is not well formed, :class:`OSError` for what can't be read.
    """
    build = loaded.spec.build
    read, source = open_context(context, dockerfile, None)
    scope = declare_global(read, build.args, host_platform(), host_platform())
    patterns = {
        pattern
        for job in lay_out(read, build.target, scope)
        for instruction in job.stage.instructions
        for pattern in _patterns(instruction)
    }
    root = loaded.folder.resolve()
    place = posixpath.normpath(os.path.relpath(context, root))
    files = [dockerfile, *find_ignore(context, dockerfile)]
    found = {str(file.relative_to(root)): _of_file(file, root) for file in files}
    for pattern in sorted(patterns):
        for named, resolved in match(source, pattern):
            for entry in _entries(source, named, resolved):
                path = posixpath.normpath(posixpath.join(place, entry.path))
                if without.intersection(path.split("/")):
                    continue
                target = entry.target if stat.S_ISLNK(entry.item.mode) else ""
                found[path] = Taken(path, entry.item.file, entry.item.mode, target)
    found.pop(".", None)
    found.pop(str(loaded.lock_file.relative_to(loaded.folder)), None)  # it has the hash of all this
    return tuple(taken for _, taken in sorted(found.items()))


def _entries(source: LocalSource, named: str, resolved: str) -> Iterator[Entry]:
    """What lies at a path that was named, and the links on the way to it."""
    way = named.split("/") if named else []
    for end in range(1, len(way) + 1):
        above = "/".join(way[:end])
        item = source.item(above)
        if item is not None and stat.S_ISLNK(item.mode):
            yield Entry(above, item)
    for entry in list_items(source, resolved):
        yield Entry(posixpath.join(resolved, entry.path) if entry.path else resolved, entry.item)


def _of_file(file: Path, root: Path) -> Taken:
    return Taken(str(file.relative_to(root)), file, file.lstat().st_mode)


def _patterns(instruction: Instruction) -> Iterator[str]:
    """Patterns of the build context that an instruction reads; what depends on a stage's variables is all of it."""
    if isinstance(instruction, Copy) and not instruction.from_:
        texts = [text for text in instruction.sources if not (instruction.add and _is_remote(text))]
    elif isinstance(instruction, Run):
        texts = [mount.source or "." for mount in instruction.mounts if mount.kind == "bind" and not mount.from_]
    else:
        return
    for text in texts:
        yield "." if "$" in text else text


def _is_remote(text: str) -> bool:
    return "://" in text or text.startswith("git@")
