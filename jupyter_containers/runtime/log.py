"""A container's log: its output as it came, in at most two files, ``log`` and the older ``log.1``.

A container may print for ever; what is kept of it is bounded. :mod:`.logs` reads them. Only :mod:`os` is imported:
the monitor writes logs, and stays small.
"""

from __future__ import annotations

import os

__all__ = ["LOG_BYTES", "Log"]

LOG_BYTES = 8 << 20
"""Of each of the two files."""


class Log:
    """The writing end, for one owner. The file is open while something is written: a server's thousand kernels that
    have nothing to say hold no descriptors for it."""

    def __init__(self, file: str, *, limit: int = LOG_BYTES) -> None:
        self._file = file
        self._limit = limit
        handle = self._open()
        self._size = os.fstat(handle).st_size
        os.close(handle)

    def _open(self) -> int:
        return os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        """Append. What a full disk refuses is lost: the container must not stand still for its log."""
        if self._size + len(data) > self._limit:
            os.replace(self._file, self._file + ".1")  # noqa: PTH105  no pathlib in the monitor
            self._size = 0
        try:
            handle = self._open()
            try:
                self._size += os.write(handle, data)
            finally:
                os.close(handle)
        except OSError:
            return
