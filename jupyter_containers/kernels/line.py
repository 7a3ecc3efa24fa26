"""A line to a kernel that nobody uses yet: a request at a time, and its reply.

One socket and no thread, where a client has five: a kernel that waits takes one descriptor of its server for it.
"""

from __future__ import annotations

import time
from typing import Any

import zmq
from jupyter_client.session import Session

from ..errors import ContainerError
from .connection import ConnectionFolder

__all__ = ["Line"]


class Line:
    """To the shell channel of the kernel behind *connection*, whose messages are signed with *key* by *scheme*.

    For one thread at a time.
    """

    def __init__(self, connection: ConnectionFolder, key: bytes, scheme: str) -> None:
        self._session = Session(key=key, signature_scheme=scheme)
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(f"ipc://{connection.socket('shell')}")

    def ask(self, kind: str, content: dict[str, Any] | None = None, *, timeout: float) -> dict[str, Any]:
        """The content of the reply to a *kind* of request; ContainerError where there is none within *timeout*
        seconds."""
        sent = self._session.send(self._socket, kind, content or {})
        assert sent is not None
        deadline = time.monotonic() + timeout
        while self._socket.poll(max(0, int(1000 * (deadline - time.monotonic())))):
            _, parts = self._session.feed_identities(self._socket.recv_multipart())
            reply = self._session.deserialize(parts)
            if reply["parent_header"].get("msg_id") == sent["header"]["msg_id"]:
                answered: dict[str, Any] = reply["content"]
                return answered
        raise ContainerError(f"a kernel did not answer {kind} within {timeout:g} s")

    def close(self) -> None:
        self._socket.close()
