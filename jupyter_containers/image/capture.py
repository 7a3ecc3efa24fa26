"""Taking a tree in as a layer: what is on disk is made harmless and the same everywhere, what that hides is noted.

Done while the tree is read for its hash, so that a layer's files are looked at once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

import msgspec

from ..errors import StoreError
from .facts import Facts, quote_name
from .layer import Found, Item, describe, marker, read_xattrs, scan, whole_seconds
from .sharing import Listing
from .tar import DIRECTORY, HARD_LINK, Member
from .whiteout import OPAQUE_MARKER, OPAQUE_XATTR, PREFIX, is_whiteout, set_opaque

__all__ = ["EPOCH", "Capture"]

EPOCH = 315_619_200
"""1980-01-02T00:00:00Z: the time that files get which a build makes now. Not 0: zip archives can't hold
times before 1980 in any time zone, so `zip` and wheel building would fail in a container."""

_SPECIAL = stat.S_ISUID | stat.S_ISGID
_CAPABILITY = "security.capability"
_OPAQUE_XATTRS = (OPAQUE_XATTR, "trusted.overlay.opaque")
_INCOMPLETE_XATTRS = ("overlay.metacopy", "overlay.redirect")


class Capture(msgspec.Struct):
    """One tree on its way in. Iterate :meth:`items` to the end, then :meth:`finish`."""

    tree: bytes
    epoch: int
    plain_modes: bool = False
    """Files become 0644 or, with any execute bit, 0755, folders 0755: whatever umask they were made with."""
    true_modes: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Where the tree's modes have been made harmless before, by quoted name."""
    private: bool = False
    """No file of the tree is one of a cache or another layer: links are among its own names."""
    facts: Facts = msgspec.field(default_factory=Facts)
    files: Listing = msgspec.field(default_factory=Listing)
    entries: int = 0
    size: int = 0
    _links: dict[tuple[int, int], Member] = msgspec.field(default_factory=dict)
    """The first entry of each file with several links, by device and inode."""
    _folders: list[tuple[bytes, int]] = msgspec.field(default_factory=list)
    """Folders whose time is set at the end: removing a socket from one changes it."""

    def items(self) -> Iterator[Item]:
        """The entries of the tar. The tree is normalised on the way.

        Raises :class:`StoreError` for what no layer can hold: names with ``.wh.``, files of other users.
        """
        # The topmost layer's root is the container's root, and staging folders are private.
        os.chmod(self.tree, 0o755)  # noqa: PTH101, S103  bytes: names need not be text
        self._take_xattrs(Found(b"", self.tree, os.lstat(self.tree)))
        self._folders.append((self.tree, self.epoch))
        for found in scan(self.tree):
            yield from self._take(found)

    def finish(self) -> None:
        """Set the folders' times."""
        for path, mtime in reversed(self._folders):
            os.utime(path, (mtime, mtime))

    def _take(self, found: Found) -> Iterator[Item]:
        status, name = found.status, found.name
        base = name.rpartition(b"/")[2]
        if base.startswith(PREFIX):
            raise StoreError(
                f"{quote_name(name)}: names that begin with .wh. mean deletions in an image's layers",
                hint="remove or rename the file before the step ends (image-spec 1.1, layer.md)",
            )
        if not self._is_holdable(found):
            return
        self.entries += 1
        if is_whiteout(status):
            yield describe(found, mode=0, mtime=0), None
            return
        self._check_owner(found)
        is_file = stat.S_ISREG(status.st_mode)
        if is_file and (first := self._links.get((status.st_dev, status.st_ino))) is not None:
            self.facts.links[quote_name(name)] = quote_name(first.name)
            # Not of its own status: that was read before or after the first name's mode was set.
            self._list(found, first)
            yield Member(name, HARD_LINK, first.mode, first.mtime, link=first.name), None
            return
        mode, mtime = self._mode(found), self._mtime(status)
        # First the mode: of what its owner may not read, the attributes can't be read either.
        if not stat.S_ISLNK(status.st_mode):
            self._set_mode(found, mode)
        opaque = False
        xattrs: dict[bytes, bytes] = {}
        if is_file or stat.S_ISDIR(status.st_mode):
            opaque, xattrs = self._take_xattrs(found)
        if status.st_uid != os.geteuid():
            os.chown(found.path, 0, 0, follow_symlinks=False)
        member = describe(found, mode=mode, mtime=mtime)
        member.xattrs = xattrs
        self._set_time(found, member)
        self.size += member.size
        if is_file:
            self._list(found, member)
            if status.st_nlink > 1:
                self._links[(status.st_dev, status.st_ino)] = member
        yield member, (found.path if member.size else None)
        if opaque:
            yield marker(name, OPAQUE_MARKER), None

    def _list(self, found: Found, first: Member) -> None:
        status = found.status
        if status.st_size:
            mode = stat.S_IFREG | _harmless(first.mode, folder=False)
            self.files.add(found.name, size=status.st_size, mode=mode, mtime=first.mtime, names=status.st_nlink)

    def _is_holdable(self, found: Found) -> bool:
        """False for sockets and devices, which are removed: they mean nothing in another container."""
        mode = found.status.st_mode
        if is_whiteout(found.status) or not (stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
            return True
        os.unlink(found.path)  # noqa: PTH108
        self.facts.drop(found.name)
        return False

    def _check_owner(self, found: Found) -> None:
        owner, user = found.status.st_uid, os.geteuid()
        if owner != user and user != 0:
            raise StoreError(
                f"{quote_name(found.name)} belongs to user id {owner} and not to {user}",
                hint="a step of a build may only leave files of the user who builds",
            )

    def _mode(self, found: Found) -> int:
        status = found.status
        mode = stat.S_IMODE(status.st_mode)
        if self.true_modes:
            mode = self.true_modes.get(quote_name(found.name), mode)
        if not self.plain_modes:
            return mode
        return 0o755 if mode & 0o111 or stat.S_ISDIR(status.st_mode) else 0o644

    def _set_mode(self, found: Found, mode: int) -> None:
        """On disk: no setuid or setgid bit for other users of this machine, and readable for the store's user."""
        harmless = _harmless(mode, folder=stat.S_ISDIR(found.status.st_mode))
        if harmless != mode:
            self.facts.modes[quote_name(found.name)] = mode
        if harmless != stat.S_IMODE(found.status.st_mode):
            os.chmod(found.path, harmless)  # noqa: PTH101

    def _mtime(self, status: os.stat_result) -> int:
        # A file with more links is in other layers, too, which may have been given another epoch: all must agree.
        shared = stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and not self.private
        epoch = min(self.epoch, EPOCH) if shared else self.epoch
        return max(0, min(whole_seconds(status), epoch))

    def _set_time(self, found: Found, member: Member) -> None:
        if member.kind == DIRECTORY:
            self._folders.append((found.path, member.mtime))
        elif whole_seconds(found.status) != member.mtime:
            os.utime(found.path, (member.mtime, member.mtime), follow_symlinks=False)

    def _take_xattrs(self, found: Found) -> tuple[bool, dict[bytes, bytes]]:
        """Take off what must not stay on disk. Returns whether the folder is opaque, and what the tar carries."""
        keys = os.listxattr(found.path, follow_symlinks=False)
        if not keys:
            return False, {}
        opaque = False
        for key in keys:
            space, _, rest = key.partition(".")
            if key in _OPAQUE_XATTRS:
                opaque = os.getxattr(found.path, key, follow_symlinks=False) == b"y"
            if key.endswith(_INCOMPLETE_XATTRS) and space in ("user", "trusted"):
                raise StoreError(
                    f"{quote_name(found.name)}: the overlay that wrote it left {key}, so its content is not all here",
                    hint="mount overlays with metacopy=off and redirect_dir=off",
                )
            if key == _CAPABILITY:
                self._take_capability(found)
            elif space == "trusted" or (space == "user" and rest.startswith("overlay.")):
                os.removexattr(found.path, key, follow_symlinks=False)
        if opaque:
            set_opaque(found.path)
        return opaque, read_xattrs(found.path) | dict(self.facts.xattrs_of(found.name))

    def _take_capability(self, found: Found) -> None:
        self.facts.add_xattr(found.name, _CAPABILITY, _plain_capability(os.getxattr(found.path, _CAPABILITY)))
        # An ordinary user may not remove the attribute, but a change of owner (to the present one) does
        # (chown(2); the kernel's notify_change with ATTR_KILL_PRIV).
        os.chown(found.path, found.status.st_uid, found.status.st_gid, follow_symlinks=False)


def _harmless(mode: int, *, folder: bool) -> int:
    return (mode & ~_SPECIAL) | (0o500 if folder else 0o400)


def _plain_capability(value: bytes) -> bytes:
    """``struct vfs_ns_cap_data`` (version 3) without the user namespace's root id, which differs between hosts."""
    version = int.from_bytes(value[:4], "little")
    if version >> 24 != 3 or len(value) != 24:
        return value
    return ((2 << 24) | (version & 0xFFFFFF)).to_bytes(4, "little") + value[4:20]
