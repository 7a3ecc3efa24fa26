"""Unpacking a foreign tar into a folder of the store, relative to open folders, following no link.

Every folder on an entry's way is opened with ``O_NOFOLLOW`` from the one before, so that a link that an earlier
entry put there leads nowhere; nobody else can write in the store's ``tmp/``.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ContainersError
from .bounds import Bounds, Room
from .capture import EPOCH
from .compression import Readable
from .facts import Facts, quote_name
from .recipe import Recipe
from .tar import DIRECTORY, FIFO, FILE, HARD_LINK, SYMBOLIC_LINK, Member
from .untrusted import DEVICES, TarReader
from .whiteout import OPAQUE_MARKER, PREFIX, hidden_name, is_whiteout, make_whiteout, set_opaque

__all__ = ["Unpacked", "unpack"]

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AUFS = b".wh..wh."
_OPEN_FOLDERS = 64
_LATEST = 1 << 33
"""Seconds: in the year 2242, which ext4 can still express."""
_SPECIAL = stat.S_ISUID | stat.S_ISGID
_OF_THE_HOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What goes wrong whatever the entry is."""
_NOTE = 64
"""Bytes that a name costs beside its own."""


@dataclass(slots=True)
class Unpacked:
    """What a tar held."""

    facts: Facts = field(default_factory=Facts)
    entries: int = 0
    size: int = 0
    """Bytes of regular files."""


def unpack(
    stream: Readable, tree: Path, *, what: str, bounds: Bounds, whiteouts: bool, recipe: Recipe | None = None
) -> Unpacked:
    """Unpack the uncompressed tar *stream* into the empty folder *tree*. *what* names it in errors.

    *whiteouts*: it is an image's layer, and names with ``.wh.`` mean deletions; else they are refused.
    Raises :class:`UntrustedContentError` and :class:`~jupyter_containers.errors.OutOfSpaceError`; what was unpacked
    until then is the caller's to remove.
    """
    raw = recipe.raw if recipe is not None else _ignore
    reader = TarReader(stream, what=what, bounds=bounds, raw=raw)
    with _Target(reader, tree, bounds, Room(tree, bounds, what=what), whiteouts, recipe) as target:
        for member in reader:
            target.take(member)
        target.finish()
        return target.result


def _ignore(data: bytes) -> None:
    pass


class _Target:
    def __init__(
        self, reader: TarReader, tree: Path, bounds: Bounds, room: Room, whiteouts: bool, recipe: Recipe | None
    ) -> None:
        self._reader, self._bounds, self._room, self._whiteouts, self._recipe = reader, bounds, room, whiteouts, recipe
        self._root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._open: OrderedDict[bytes, int] = OrderedDict()
        self._folders: dict[bytes, tuple[int, int]] = {}
        """Modes and times by name, set at the end: a folder is written to until then."""
        self._noted = 0
        self.result = Unpacked()

    def __enter__(self) -> _Target:
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._open.values():
            os.close(handle)
        os.close(self._root)

    def take(self, member: Member) -> None:
        """Make what *member* describes."""
        self._close_some()
        try:
            self._take(member)
        except OSError as error:
            if error.errno in _OF_THE_HOST or isinstance(error, ContainersError):
                raise
            raise self._reader.error(f"the file system refuses it ({error.strerror})") from error

    def _take(self, member: Member) -> None:
        if not member.name:
            if member.kind != DIRECTORY:
                raise self._reader.error("the layer's root is not a folder")
            return
        self.result.entries += 1
        folder, _, base = member.name.rpartition(b"/")
        if PREFIX in member.name and self._take_whiteout(member, folder, base):
            return
        if member.kind in DEVICES:
            self.result.facts.drop(member.name)
            return
        self._room.take(member.size)
        if member.kind == DIRECTORY:
            self._note_folder(member.name, member.mode, member.mtime)
            self._set_xattrs(member, self._path(member.name))
            return
        parent = self._folder(folder)
        try:
            self._make(member, base, parent)
        except FileExistsError:
            if not is_whiteout(os.stat(base, dir_fd=parent, follow_symlinks=False)):
                raise self._reader.error("its name was there before") from None
            # The same layer deletes what is below and brings something new.
            os.unlink(base, dir_fd=parent)
            self._make(member, base, parent)

    def finish(self) -> None:
        """Set the folders' modes and times, the deepest first."""
        for name in sorted(self._folders, reverse=True):
            self._close_some()
            mode, mtime = self._folders[name]
            harmless = self._harmless(name, mode, 0o500)
            path = self._path(name)
            os.chmod(path, harmless)  # noqa: PTH101
            os.utime(path, _times(mtime))
        os.fchmod(self._root, 0o755)

    def _make(self, member: Member, base: bytes, parent: int) -> None:
        if member.kind == FILE:
            self._make_file(member, base, parent)
        elif member.kind == SYMBOLIC_LINK:
            os.symlink(member.link, base, dir_fd=parent)
            os.utime(base, _times(member.mtime), dir_fd=parent, follow_symlinks=False)
        elif member.kind == HARD_LINK:
            self._make_link(member, base, parent)
        elif member.kind == FIFO:
            os.mkfifo(base, 0o600, dir_fd=parent)
            os.chmod(base, self._harmless(member.name, member.mode, 0o400), dir_fd=parent)
            os.utime(base, _times(member.mtime), dir_fd=parent, follow_symlinks=False)

    def _make_file(self, member: Member, base: bytes, parent: int) -> None:
        handle = os.open(base, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            for piece in self._reader.content():
                view = memoryview(piece)
                while view:
                    view = view[os.write(handle, view) :]
            self._set_xattrs(member, handle)
            os.fchmod(handle, self._harmless(member.name, member.mode, 0o400))
            os.utime(handle, _times(member.mtime))
        finally:
            os.close(handle)
        self.result.size += member.size
        if self._recipe is not None and member.size:
            self._recipe.file(member.name, member.size)

    def _make_link(self, member: Member, base: bytes, parent: int) -> None:
        folder, _, target = member.link.rpartition(b"/")
        if not target or PREFIX in member.link:
            raise self._reader.error("a hard link to what can't be linked")
        try:
            source = self._folder(folder, make=False)
            found = os.stat(target, dir_fd=source, follow_symlinks=False)
        except FileNotFoundError:
            raise self._reader.error(
                f"a hard link to {quote_name(member.link)[:200]!r}, which is not in the layer before it"
            ) from None
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            raise self._reader.error(f"a hard link to {quote_name(member.link)[:200]!r}, which is not a file")
        os.link(target, base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        mode = self.result.facts.modes.get(quote_name(member.link))
        if mode is not None:
            self._note(member.name)
            self.result.facts.modes[quote_name(member.name)] = mode

    def _take_whiteout(self, member: Member, folder: bytes, base: bytes) -> bool:
        """Whether *member* is a deletion, or a folder's marker, and was done as such."""
        parts = member.name.split(b"/")
        if not any(part.startswith(PREFIX) for part in parts):
            return False
        if not self._whiteouts:
            raise self._reader.error("names that begin with .wh. mean deletions in an image's layers")
        if any(part.startswith(_AUFS) and part != OPAQUE_MARKER for part in parts):
            return True  # aufs's own files, which all engines pass over
        if any(part.startswith(PREFIX) for part in parts[:-1]) or member.kind not in (FILE, HARD_LINK) or member.size:
            raise self._reader.error("a deletion that is no empty file")
        if base == OPAQUE_MARKER:
            if not folder:
                # overlayfs does not look for the attribute on a layer's root.
                raise self._reader.error("a deletion of all lower layers at once")
            set_opaque(self._folder(folder))
            return True
        hidden = hidden_name(base)
        if hidden in (None, b"", b".", b".."):
            raise self._reader.error("a deletion of nothing that could be there")
        assert hidden is not None
        self._room.take(1)
        parent = self._folder(folder)
        try:
            make_whiteout(hidden, folder=parent)
        except FileExistsError:
            # What is here stays; a folder no longer shows what is below it.
            if stat.S_ISDIR(os.stat(hidden, dir_fd=parent, follow_symlinks=False).st_mode):
                set_opaque(self._folder(folder + b"/" + hidden if folder else hidden))
        return True

    def _folder(self, name: bytes, *, make: bool = True) -> int:
        """The open folder *name*, made where missing, as are those above it."""
        if not name:
            return self._root
        handle = self._open.get(name)
        if handle is not None:
            self._open.move_to_end(name)
            return handle
        above, _, base = name.rpartition(b"/")
        parent = self._folder(above, make=make)
        handle = self._enter(base, parent, name, make)
        self._open[name] = handle
        return handle

    def _close_some(self) -> None:
        """Between two entries, when nobody holds a descriptor that :meth:`_folder` gave."""
        while len(self._open) > _OPEN_FOLDERS:
            os.close(self._open.popitem(last=False)[1])

    def _enter(self, base: bytes, parent: int, name: bytes, make: bool) -> int:
        try:
            return os.open(base, _FOLDER, dir_fd=parent)
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(base, 0o700, dir_fd=parent)
            if name not in self._folders:  # an entry of its own tells more
                self._note_folder(name, 0o755, EPOCH)
            return os.open(base, _FOLDER, dir_fd=parent)
        except OSError as error:
            found = os.stat(base, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                raise
            if make and is_whiteout(found):
                # A deletion, and then a new folder in its place: one that hides the old.
                os.unlink(base, dir_fd=parent)
                handle = self._enter(base, parent, name, make)
                set_opaque(handle)
                return handle
            cause = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a folder"
            raise self._reader.error(f"{quote_name(name)[:200]!r} on its way is {cause}") from error

    def _path(self, name: bytes) -> str:
        """A path for the open folder *name*: what takes no O_PATH descriptor takes this, and no link is followed."""
        return f"/proc/self/fd/{self._folder(name)}"

    def _harmless(self, name: bytes, mode: int, needed: int) -> int:
        harmless = (mode & ~_SPECIAL) | needed
        if harmless != mode:
            self._note(name)
            self.result.facts.modes[quote_name(name)] = mode
        return harmless

    def _note_folder(self, name: bytes, mode: int, mtime: int) -> None:
        if name not in self._folders:
            self._note(name)
        self._folders[name] = (mode, mtime)

    def _note(self, name: bytes) -> None:
        """Account for a name that is kept in memory."""
        self._noted += len(name) + _NOTE
        if self._noted > self._bounds.noted:
            raise self._reader.error(f"more than {self._bounds.noted} bytes of names are to be kept in mind")

    def _set_xattrs(self, member: Member, target: str | int) -> None:
        for key, value in member.xattrs.items():
            os.setxattr(target, key, value)


def _times(mtime: int) -> tuple[int, int]:
    """What file systems can keep; the recipe has the number as it was."""
    seconds = min(max(mtime, 0), _LATEST)
    return seconds, seconds
