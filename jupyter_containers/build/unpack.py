"""Unpacking many packages into an empty tree at once.

dpkg unpacks one package after the other and waits for the disk in between. Here all cores unpack (the decompressors
and the system calls release the interpreter's lock), and dpkg's database is written once at the end.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from ..errors import ArchiveError, CancelledError
from . import dpkg
from .deb import Control, open_data, read_control
from .monitor import Progress
from .tree import Tree

__all__ = ["unpack"]

_MERGED = {"bin", "lib", "sbin"}
"""Links at the top into /usr, made first: bookworm's base-files does not bring them, trixie's does. Packages that
still have files in /bin and the like are unpacked through them."""


def unpack(
    debs: Mapping[str, Path],
    root: Path,
    *,
    architecture: str,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> list[Control]:
    """Unpack *debs* (by package name) into the empty folder *root*, each ``install ok unpacked`` for dpkg.

    Returns what the packages say of themselves, in the order of *debs*. *progress* counts bytes of archives.
    Raises :class:`ArchiveError` for a package that is damaged or holds what no image may (devices).
    """
    sizes = {name: deb.stat().st_size for name, deb in debs.items()}
    results: dict[str, dpkg.Unpacked] = {}
    total, done = sum(sizes.values()), 0

    def work(name: str) -> tuple[str, dpkg.Unpacked]:
        if cancel is not None and cancel.is_set():
            raise CancelledError("the build was cancelled while packages were unpacked")
        try:
            return name, _unpack_one(debs[name], root)
        except ArchiveError as error:
            raise ArchiveError(f"package {name}: {error.message}", hint=error.hint) from error

    # base-files brings links at the top (/var/run) that the others' files may go through.
    first = [name for name in debs if name == "base-files"]
    rest = sorted((name for name in debs if name != "base-files"), key=lambda name: -sizes[name])
    with Tree(root) as tree:
        for name in _MERGED | ({"lib64"} if architecture == "amd64" else set()):
            tree.folder(f"usr/{name}", 0o755)
            tree.link(name, f"usr/{name}")
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="unpack") as pool:
            for batch in (first, rest):
                for name, unpacked in pool.map(work, batch):
                    results[name] = unpacked
                    done += sizes[name]
                    if progress is not None:
                        progress("packages", done, total)
        dpkg.write_database(tree, results.values())
    return [results[name].control for name in debs]


def _unpack_one(deb: Path, root: Path) -> dpkg.Unpacked:
    control = read_control(deb)
    conffiles = dict.fromkeys(dpkg.conffile_paths(control), "")
    paths: list[str] = []
    with Tree(root) as tree:
        for entry, open_content in open_data(deb):
            path = entry_path(entry.name, deb)
            paths.append(path)
            if not path or dpkg.is_left_out(path):
                continue
            if entry.isreg():
                if f"/{path}" in conffiles:
                    content = open_content().read()
                    conffiles[f"/{path}"] = dpkg.md5(content)
                    tree.file(path, content, entry.mode & 0o7777, int(entry.mtime))
                else:
                    tree.file(path, open_content(), entry.mode & 0o7777, int(entry.mtime))
            elif entry.isdir():
                tree.folder(path, entry.mode & 0o7777)
            elif entry.issym():
                tree.link(path, entry.linkname, int(entry.mtime))
            elif entry.islnk():
                tree.hard_link(path, entry_path(entry.linkname, deb))
            else:
                raise ArchiveError(f"{deb.name}: /{path} is a device or a pipe; an image can't hold it")
    return dpkg.Unpacked(control, paths, {path: digest for path, digest in conffiles.items() if digest})


def entry_path(name: str, deb: Path) -> str:
    """*name* of a tar entry as a relative path; ``""`` for the root. ArchiveError where it leads out."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or "\0" in name:
        raise ArchiveError(f"{deb.name}: the path {name!r} leads out of the tree")
    return "/".join(parts)
