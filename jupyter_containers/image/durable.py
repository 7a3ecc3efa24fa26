"""What survives a power cut: the few system calls that the store's promises stand on.

The order is always the same: write under a temporary name, make the content durable, rename, make the folder
durable. A reader sees the old object or the whole new one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutOfSpaceError

__all__ = ["fsync_folder", "full_disk_told", "sync_file_system", "write_atomically"]


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace *path* by a file of that *mode* that holds *data*, durably."""
    temporary = path.parent / f".{os.urandom(8).hex()}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if mode != 0o600:
                os.fchmod(stream.fileno(), mode)  # whatever the umask
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def fsync_folder(path: Path) -> None:
    """Make names that were added to or removed from the folder *path* durable (fsync(2), "Notes")."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(path: Path) -> None:
    """Make all that was written to *path*'s file system durable: syncfs(2).

    A layer has tens of thousands of files. One fsync(2) each is one journal commit each, minutes on a disk that
    tells the truth; syncfs writes everything back and commits once. It also writes other programs' data of the
    same file system, which costs time and harms nothing.
    """
    import ctypes  # late: 2 ms that only a commit needs

    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Since Linux 5.8 an error of writing back is reported here, too.
        if libc.syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(handle)


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Turn the operating system's errors for a full disk or quota into :class:`OutOfSpaceError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OutOfSpaceError(
            f"the disk that holds {path} is full; nothing was left behind",
            hint="`jupyter-containers prune` frees what no environment uses",
        ) from error
