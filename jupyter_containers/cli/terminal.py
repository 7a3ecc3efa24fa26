"""The user's terminal, joined to a container's pseudo-terminal for as long as the container runs.

The user's terminal is put in raw mode, so that every key (Ctrl-C too) reaches the container, whose own line
discipline gives it its meaning; changes of the window's size are passed on; at the end, all is as it was.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from ..errors import InputError

__all__ = ["Terminal"]

_INTERVAL = 0.1


class Terminal:
    """A pseudo-terminal: give :attr:`slave` to the container, then :meth:`copy`."""

    def __init__(self) -> None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InputError("-t needs a terminal, and standard input or output is none", hint="leave -t out")
        self._user = sys.stdin.fileno()
        self._output = sys.stdout.fileno()
        self._master, self.slave = os.openpty()
        self._resize()

    @contextmanager
    def raw(self) -> Iterator[None]:
        """The user's terminal in raw mode, and its size followed."""
        before = termios.tcgetattr(self._user)

        def resized(number: int, frame: FrameType | None) -> None:
            self._resize()

        handler = signal.signal(signal.SIGWINCH, resized)
        try:
            tty.setraw(self._user, termios.TCSANOW)  # the default, TCSAFLUSH, throws away what was typed ahead
            yield
        finally:
            termios.tcsetattr(self._user, termios.TCSADRAIN, before)
            signal.signal(signal.SIGWINCH, handler)

    def copy(self, *, ended: Callable[[], bool]) -> None:
        """Copy both ways until *ended*, or until nothing has the pseudo-terminal open any more."""
        os.close(self.slave)
        sources = [self._master, self._user]
        while True:
            over = ended()
            ready = select.select(sources, [], [], 0 if over else _INTERVAL)[0]
            if self._master in ready and not self._show():
                return
            if over and self._master not in ready:
                return
            if self._user in ready:
                data = os.read(self._user, 4096)
                if not data:
                    sources.remove(self._user)
                    continue
                self._type(data)

    def close(self) -> None:
        for handle in (self._master, self.slave):
            with suppress(OSError):
                os.close(handle)

    def _show(self) -> bool:
        try:
            data = os.read(self._master, 1 << 16)
        except OSError as error:
            if error.errno == errno.EIO:  # the last one who had the other end open has closed it
                return False
            raise
        while data:
            data = data[os.write(self._output, data) :]
        return True

    def _type(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except OSError as error:
                if error.errno == errno.EIO:
                    return
                raise

    def _resize(self) -> None:
        with suppress(OSError):
            size = fcntl.ioctl(self._output, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
