"""What a container changed, as a folder of its own that nobody writes to: what `commit` and `export` are made of."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ..errors import StoreError
from ..image.bounds import DEFAULT_BOUNDS, Room
from ..image.facts import quote_name
from ..image.progress import Counter, Progress, quiet
from ..image.whiteout import make_whiteout, set_opaque
from ..sandbox.difference import Difference, differences

__all__ = ["NOT_TAKEN", "Snapshot", "copy_changes"]

NOT_TAKEN = ("/tmp", "/var/tmp")  # noqa: S108  inside of the container
"""Besides what is mounted, among it /dev, /proc, /run, /sys and a kernel's connection file: sockets, locks and
half-written files of programs that will not be there."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 20


class Snapshot(msgspec.Struct):
    """What was copied."""

    entries: int = 0
    size: int = 0
    """Bytes of regular files."""
    dropped: list[str] = []
    """Sockets and devices: they mean nothing in another container."""


def copy_changes(
    layers: Sequence[Path], upper: Path, target: Path, *, mounts: Collection[str] = (), what: str,
    progress: Progress = quiet,
) -> Snapshot:  # fmt: skip
    """Copy what *upper* changes in *layers* (lowest first) into the empty folder *target*, in overlayfs's form.

    Left out are *mounts*, :data:`NOT_TAKEN`, and files that were opened for writing and are what they were. *what*
    names the container in errors: :class:`StoreError` for what can't be copied,
    :class:`~jupyter_containers.errors.OutOfSpaceError`.
    """
    counter = Counter("copying files", 0, progress)
    copy = _Copy(target, Room(target, DEFAULT_BOUNDS, what=what), what, counter)
    try:
        for difference in differences(layers, upper, mounts=(*mounts, *NOT_TAKEN)):
            copy.take(difference)
        copy.finish()
    finally:
        copy.close()
    return copy.result


class _Copy:
    def __init__(self, target: Path, room: Room, what: str, counter: Counter) -> None:
        self._top, self._room, self._what = os.open(target, _FOLDER), room, what
        self._counter = counter
        self._open: tuple[str, int] = ("", os.dup(self._top))
        """The folder of the target that was used last, by its path."""
        self._folders: list[tuple[str, os.stat_result]] = []
        self._links: dict[tuple[int, int], str] = {}
        self.result = Snapshot()

    def close(self) -> None:
        os.close(self._open[1])
        os.close(self._top)

    def take(self, difference: Difference) -> None:
        if difference.folder < 0:
            return  # the folder that had it is opaque
        folder, _, name = difference.path[1:].rpartition("/")
        parent, status = self._folder(folder), difference.status
        if status is None:
            make_whiteout(os.fsencode(name), folder=parent)
        elif stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=parent)
            self._folders.append((difference.path[1:], status))
            with _opened(name, parent, _FOLDER) as handle:
                if difference.opaque:
                    set_opaque(handle)
                with _opened(difference.name, difference.folder, _FOLDER) as source:
                    _copy_attributes(source, handle)
        elif not self._take_other(difference, parent, name, status):
            return
        self.result.entries += 1

    def _take_other(self, difference: Difference, parent: int, name: str, status: os.stat_result) -> bool:
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(difference.name, dir_fd=difference.folder), name, dir_fd=parent)
        elif stat.S_ISREG(status.st_mode):
            if not difference.hidden and _is_the_same(difference, status):
                return False
            if status.st_nlink > 1 and (first := self._links.get((status.st_dev, status.st_ino))) is not None:
                os.link(first, name, src_dir_fd=self._top, dst_dir_fd=parent, follow_symlinks=False)
                return True
            self._room.take(status.st_size)
            self._copy_file(difference, parent, name, status)
            if status.st_nlink > 1:
                self._links[(status.st_dev, status.st_ino)] = difference.path[1:]
        elif stat.S_ISFIFO(status.st_mode):
            os.mkfifo(name, 0o600, dir_fd=parent)
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=parent)
        else:
            self.result.dropped.append(quote_name(os.fsencode(difference.path)))
            return False
        os.utime(name, ns=(status.st_mtime_ns, status.st_mtime_ns), dir_fd=parent, follow_symlinks=False)
        return True

    def _copy_file(self, difference: Difference, parent: int, name: str, status: os.stat_result) -> None:
        with (
            _opened(difference.name, difference.folder, _FILE) as source,
            _opened(name, parent, _NEW_FILE, 0o600) as handle,
        ):
            if not stat.S_ISREG(os.fstat(source).st_mode):
                raise StoreError(f"{self._what}: {difference.path} was replaced while it was copied")
            copied = 0
            # The kernel copies, and where the file system can, both share the blocks from now on.
            while copied < status.st_size and (size := os.copy_file_range(source, handle, _PIECE * 64)):
                copied += size
                self._counter.add(size)
            _copy_attributes(source, handle)
            os.fchmod(handle, stat.S_IMODE(status.st_mode))
        self.result.size += copied

    def finish(self) -> None:
        """Set the folders' modes and times, the deepest first: they are written to until then."""
        for path, status in reversed(self._folders):
            with _opened(path, self._top, _FOLDER) as handle:
                os.fchmod(handle, stat.S_IMODE(status.st_mode))
                os.utime(handle, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _folder(self, path: str) -> int:
        """The target's folder *path*. Nobody else can write in the target, so the whole path is opened at once."""
        if self._open[0] != path:
            handle = os.open(path or ".", _FOLDER, dir_fd=self._top)
            os.close(self._open[1])
            self._open = path, handle
        return self._open[1]


@contextmanager
def _opened(name: str, folder: int, flags: int, mode: int = 0o777) -> Iterator[int]:
    try:
        handle = os.open(name, flags, mode, dir_fd=folder)
    except PermissionError:
        # A file that its own owner may not read; who is not root has to ask for it, and puts back what was there.
        handle = _open_closed(name, folder, flags)
    try:
        yield handle
    finally:
        os.close(handle)


def _open_closed(name: str, folder: int, flags: int) -> int:
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    path = f"/proc/self/fd/{handle}"
    try:
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
        os.chmod(path, mode | 0o500)  # noqa: PTH101  by descriptor
        try:
            return os.open(path, flags & ~os.O_NOFOLLOW)
        finally:
            os.chmod(path, mode)  # noqa: PTH101
    finally:
        os.close(handle)


def _copy_attributes(source: int, target: int) -> None:
    """A user's own: overlayfs's are its business, and others take rights that a container has not."""
    for key, value in _attributes(source).items():
        os.setxattr(target, key, value)


def _is_the_same(difference: Difference, status: os.stat_result) -> bool:
    """Whether a file is what the layers have: it was opened for writing, which makes overlayfs copy it up."""
    if difference.below is None:
        return False
    place, below = difference.below
    if (
        not stat.S_ISREG(below.st_mode)
        or stat.S_IMODE(below.st_mode) != stat.S_IMODE(status.st_mode)
        or below.st_mtime_ns // 10**9 != status.st_mtime_ns // 10**9
        or below.st_size != status.st_size
    ):
        return False
    with _opened(difference.name, difference.folder, _FILE) as one, open(place, "rb", buffering=0) as other:
        if _attributes(one) != _attributes(other.fileno()):
            return False
        while piece := os.read(one, _PIECE):
            if other.read(len(piece)) != piece:
                return False
    return True


def _attributes(handle: int) -> dict[str, bytes]:
    keys = [key for key in os.listxattr(handle) if key.startswith("user.") and not key.startswith("user.overlay.")]
    return {key: os.getxattr(handle, key) for key in keys}
