"""Bytes between a client's sockets and a kernel's: for clients that chose the connection file themselves.

ZMTP is the same on TCP and on a Unix socket (https://rfc.zeromq.org/spec/23/), so each connection is copied as it is,
and messages stay signed (and, with CurveZMQ, encrypted) from end to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from ..errors import HostError
from .connection import CHANNELS, ConnectionFolder

__all__ = ["open_relay"]

CHUNK = 1 << 18
RETRY = 0.01
"""Seconds until a socket that the kernel has not bound yet is tried again."""
LAST_WORDS = 1.0
"""Seconds that connections have to deliver what an ended kernel has said: its shutdown_reply above all."""


@asynccontextmanager
async def open_relay(info: Mapping[str, object], connection: ConnectionFolder) -> AsyncIterator[None]:
    """Listen where the connection file *info* says, and copy. :class:`.HostError` where one of the places is taken."""
    tasks: set[asyncio.Task[None]] = set()
    servers: list[asyncio.Server] = []
    try:
        for channel in CHANNELS:
            servers.append(await _listen(info, channel, connection.socket(channel), tasks))
        yield
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_WORDS)
    finally:
        for server in servers:
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(
    info: Mapping[str, object], channel: str, target: str, tasks: set[asyncio.Task[None]]
) -> asyncio.Server:
    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(_relay(reader, writer, target))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    host, port = str(info["ip"]), int(str(info[f"{channel}_port"]))
    ipc = info.get("transport") == "ipc"
    try:
        if ipc:
            return await asyncio.start_unix_server(accept, f"{host}-{port}")
        return await asyncio.start_server(accept, None if host in {"*", "0.0.0.0"} else host, port)  # noqa: S104
    except OSError as error:
        raise HostError(
            f"cannot listen on {host}{'-' if ipc else ':'}{port} for the kernel's {channel} channel: {error.strerror}",
            hint="start the kernel again: the client then chooses other ports",
        ) from error


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
    inner: asyncio.StreamWriter | None = None
    try:
        while inner is None:
            try:
                inner_reader, inner = await asyncio.open_unix_connection(target)
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(RETRY)
        # A connection that has lost one side is of no use: ZMTP knows no half-open ones.
        both = [asyncio.ensure_future(_copy(reader, inner)), asyncio.ensure_future(_copy(inner_reader, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
    finally:
        for stream in (writer, inner):
            if stream is not None:
                stream.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
