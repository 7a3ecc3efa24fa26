"""Descriptors from one process to another, over a pair of sockets (unix(7), SCM_RIGHTS)."""

from __future__ import annotations

import _socket  # what the module socket adds, enums and files, takes 9 ms to import
import array
import os
import select
from collections.abc import Sequence

__all__ = ["MOUNTS", "NEXT", "Socket", "end_sending", "is_waiting", "pair", "receive", "send", "taken"]

Socket = _socket.socket

MOUNTS, NEXT = b"mounts", b"next"
"""What is said to :mod:`.service` with orders for the mounts of a fork."""

_MOST = 253  # SCM_MAX_FD: how many descriptors the kernel takes in one message
_LONGEST = 4096
_MORE, _LAST = b"+", b"."


def pair() -> tuple[Socket, Socket]:
    """Two ends that keep the bounds of messages; not inherited."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)


def taken(handle: int) -> Socket:
    """The end that this process has inherited as descriptor *handle*, and its children do not."""
    os.set_inheritable(handle, False)
    return _socket.socket(fileno=handle)


def send(end: Socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """Send a message of at most 4000 bytes with any number of descriptors. Raises BrokenPipeError and its like."""
    rest = list(fds)
    while len(rest) > _MOST:
        _send(end, _MORE, rest[:_MOST])
        del rest[:_MOST]
    _send(end, _LAST + data, rest)


def _send(end: Socket, data: bytes, fds: Sequence[int]) -> None:
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    end.sendmsg([data], rights)


def is_waiting(end: Socket) -> bool:
    """Whether there is something to receive, the end of the other end included."""
    poll = select.poll()
    poll.register(end.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def end_sending(end: Socket) -> None:
    """Let the other end see that there is no more; it may still send."""
    try:  # noqa: SIM105  contextlib takes 3 ms to import
        end.shutdown(_socket.SHUT_WR)
    except OSError:
        pass  # it is gone


def receive(end: Socket) -> tuple[bytes, list[int]]:
    """A message and the descriptors that came with it, not inherited and this process's to close.

    Raises EOFError when the other end is gone.
    """
    fds = array.array("i")
    while True:
        data, rights, _, _ = end.recvmsg(_LONGEST, _socket.CMSG_SPACE(_MOST * fds.itemsize), _socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in rights:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        if not data:
            for fd in fds:
                _socket.close(fd)
            raise EOFError("the other end of the socket is closed")
        if data[:1] == _LAST:
            return data[1:], list(fds)
