"""Bytes between a client's sockets and a kernel's: for clients that chose the connection file themselves.

ZMTP is the same on TCP and on a Unix socket (https://rfc.zeromq.org/spec/23/), so each connection is copied as it is,
and messages stay signed (and, with CurveZMQ, encrypted) from end to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress

from ..errors import HostError
from .connection import CHANNELS, ConnectionFolder

__all__ = ["serve"]

CHUNK = 1 << 18
RETRY = 0.01
"""Seconds until a socket that the kernel has not bound yet is tried again."""


async def serve(stack: AsyncExitStack, info: Mapping[str, object], connection: ConnectionFolder) -> None:
    """Listen where the connection file *info* says, until *stack* is closed. :class:`HostError` where that is taken."""
    for channel in CHANNELS:
        target = connection.socket(channel)
        port = int(str(info[f"{channel}_port"]))

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str = target) -> None:
            await _relay(reader, writer, target)

        address = f"{info['ip']}-{port}" if info.get("transport") == "ipc" else f"{info['ip']}:{port}"
        try:
            if info.get("transport") == "ipc":
                server = await asyncio.start_unix_server(relay, address)
            else:
                host = str(info["ip"])
                server = await asyncio.start_server(relay, None if host in {"*", "0.0.0.0"} else host, port)  # noqa: S104
        except OSError as error:
            raise HostError(
                f"cannot listen on {address} for the kernel's {channel} channel: {error.strerror}",
                hint="start the kernel again: the client then chooses other ports",
            ) from error
        await stack.enter_async_context(server)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
    while True:
        try:
            inner_reader, inner_writer = await asyncio.open_unix_connection(target)
            break
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(RETRY)
    try:
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
    finally:
        for stream in (writer, inner_writer):
            stream.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    with suppress(OSError):  # the other side may have gone first
        sink.write_eof()
