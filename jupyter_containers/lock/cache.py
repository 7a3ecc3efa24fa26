"""Files of the download cache: whole ones, and partial ones that are taken up again."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import HashMismatchError

__all__ = ["Partial", "partial", "write_whole"]

_CHUNK = 256 * 1024


class Partial:
    """A file that grows until it is whole, and its hash, kept as it grows."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path, self._stream = path, stream
        self._hash = hashlib.sha256()
        self.size = 0
        stream.seek(0)
        while chunk := stream.read(_CHUNK):
            self._hash.update(chunk)
            self.size += len(chunk)

    def append(self, chunk: bytes) -> None:
        self._stream.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def clear(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def check(self, sha256: str, size: int | None) -> None:
        self._stream.flush()
        if size is not None and self.size != size:
            raise HashMismatchError(f"{self.size} bytes instead of {size}")
        if self._hash.hexdigest() != sha256:
            raise HashMismatchError(f"its sha256 is {self._hash.hexdigest()}")


@contextlib.contextmanager
def partial(folder: Path, sha256: str) -> Iterator[Partial]:
    """The partial file of an object, held by a lock that the kernel releases; a private one where another process
    is at work on it. What is left of it stays for the next try, the private one does not."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256
    stream: BinaryIO = open(path, "a+b")  # noqa: SIM115  closed in the finally below, or replaced by a private file
    private = False
    try:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one that held the lock may have renamed the file into the cache meanwhile.
            private = not path.exists() or path.stat().st_ino != os.fstat(stream.fileno()).st_ino
        except BlockingIOError:
            private = True
        if private:
            stream.close()
            handle, name = tempfile.mkstemp(dir=folder, prefix=f"{sha256}.")
            stream, path = os.fdopen(handle, "w+b"), Path(name)
        yield Partial(path, stream)
    finally:
        stream.close()
        if private:
            path.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    Path(name).replace(path)
