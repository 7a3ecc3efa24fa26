"""Layers' trees copied from store to store, and made readable for other users.

What is on disk and what is true of a file are two things (:mod:`.facts`): in a store that others read every file is
readable for all, and its true mode is noted; a copy in a private store has it on disk again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from ..errors import StoreError
from .facts import Facts, quote_name
from .layer import Found, read_xattrs, scan, stream_tar, tar_items
from .recipe import replay
from .whiteout import is_opaque, is_whiteout, set_opaque

__all__ = ["check_tree", "copy_recipe", "copy_tree", "open_up", "tree_tar"]

_SPECIAL = stat.S_ISUID | stat.S_ISGID


def tree_tar(tree: Path, facts: Facts, recipe: Path | None) -> Iterator[bytes | memoryview]:
    """The tar of a layer in pieces, each valid until the next."""
    return replay(recipe, tree) if recipe is not None else stream_tar(tar_items(os.fsencode(tree), facts))


def check_tree(tree: Path, facts: Facts, recipe: Path | None, diff_id: str) -> None:
    """Raise :class:`StoreError` where *tree* is not the layer *diff_id*."""
    state = sha256()
    for piece in tree_tar(tree, facts, recipe):
        state.update(piece)
    if f"sha256:{state.hexdigest()}" != diff_id:
        raise StoreError(f"layer {diff_id} is damaged in the store that it was to be taken from",
                         hint="its administrator can repair it: `verify --repair`")  # fmt: skip


def copy_recipe(recipe: Path, folder: Path) -> Path:
    """Copy a layer's recipe into *folder*."""
    import shutil  # late: each start imports this module, and few copy

    return Path(shutil.copyfile(recipe, folder / "recipe"))


def copy_tree(source: Path, facts: Facts, target: Path, *, link: bool = False) -> Facts:
    """Copy a layer's tree into the empty folder *target* with modes as in a private store; its facts there.

    *link*: files become other names of the source's, where their mode stays and both are of one mount.
    """
    copy = _Copy(os.fsencode(target), facts, link)
    top = os.fsencode(source)
    for found in scan(top):
        copy.take(found)
    return copy.finish()


class _Copy:
    def __init__(self, target: bytes, facts: Facts, link: bool) -> None:
        self._target, self._before, self._link = target, facts, link
        self._modes: dict[str, int] = {}
        self._folders: list[tuple[bytes, os.stat_result, int]] = []
        self._first: dict[int, bytes] = {}

    def take(self, found: Found) -> None:
        status, path = found.status, self._target + b"/" + found.name
        kind = stat.S_IFMT(status.st_mode)
        if is_whiteout(status):
            os.mknod(path, stat.S_IFCHR, 0)
            return
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(found.path), path)  # noqa: PTH115, PTH211  bytes
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)
            return
        mode = self._mode(found)
        if kind == stat.S_IFDIR:
            os.mkdir(path, 0o700)  # noqa: PTH102
            self._folders.append((path, status, mode))
            if is_opaque(found.path):
                set_opaque(path)
        elif kind == stat.S_IFIFO:
            os.mkfifo(path, 0o600)
        elif self._take_file(found, path, mode):
            return
        for key, value in read_xattrs(found.path).items() if kind != stat.S_IFIFO else ():
            os.setxattr(path, key, value)
        if kind != stat.S_IFDIR:
            os.chmod(path, mode)  # noqa: PTH101
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _take_file(self, found: Found, path: bytes, mode: int) -> bool:
        """Whether nothing is left to do: it is another name of a file that is there."""
        status = found.status
        first = self._first.get(status.st_ino) if status.st_nlink > 1 else None
        if first is not None:
            os.link(first, path)
            return True
        self._first[status.st_ino] = path
        if self._link and mode == stat.S_IMODE(status.st_mode):
            try:
                os.link(found.path, path)
                return True
            except OSError:
                self._link = False  # another mount, or user: from here on all is copied
        import shutil

        shutil.copyfile(found.path, path, follow_symlinks=False)
        return False

    def _mode(self, found: Found) -> int:
        """The mode on disk: the true one, but for what a private store has on no disk."""
        name = quote_name(found.name)
        true = self._before.modes.get(self._before.links.get(name, name), stat.S_IMODE(found.status.st_mode))
        needed = 0o500 if stat.S_ISDIR(found.status.st_mode) else 0o400
        harmless = (true & ~_SPECIAL) | needed
        if harmless != true and name not in self._before.links:
            self._modes[name] = true
        return harmless

    def finish(self) -> Facts:
        os.chmod(self._target, 0o755)  # noqa: PTH101, S103  the root of a container, in a private folder
        for path, status, mode in reversed(self._folders):
            os.chmod(path, mode)  # noqa: PTH101
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
        return msgspec.structs.replace(self._before, modes=self._modes)


def open_up(tree: Path, facts: Facts) -> Facts:
    """Let every user read the not yet published *tree*; its facts then. A file that has other names is copied first:
    they may be in a cache, or in a private store."""
    modes = dict(facts.modes)
    folders: list[tuple[bytes, os.stat_result]] = []
    for found in scan(os.fsencode(tree)):
        mode = found.status.st_mode
        if stat.S_ISDIR(mode):
            folders.append((found.path, found.status))
        elif not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            continue
        opened = stat.S_IMODE(mode) | (0o555 if stat.S_ISDIR(mode) or mode & 0o100 else 0o444)
        if opened == stat.S_IMODE(mode):
            continue
        name = quote_name(found.name)
        if name not in facts.links:
            modes.setdefault(name, stat.S_IMODE(mode))
        _change(found, opened)
    for path, status in reversed(folders):
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    return msgspec.structs.replace(facts, modes=modes)


def _change(found: Found, mode: int) -> None:
    status = found.status
    change: Callable[[bytes, int], None] = os.chmod
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        aside = found.path + b".opened"
        import shutil

        shutil.copy2(found.path, aside, follow_symlinks=False)
        os.rename(aside, found.path)  # noqa: PTH104
    change(found.path, mode)
    os.utime(found.path, ns=(status.st_mtime_ns, status.st_mtime_ns))
