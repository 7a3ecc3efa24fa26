"""A container kernel for a client that starts kernels itself: it runs our ``argv`` with its own connection file.

The client's process is this one: it listens on the client's ports and copies to the kernel's sockets (relay.py), passes
signals on, and ends with the container and with its client.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

from ..build.monitor import Monitor, silent
from ..errors import ContainersError, InputError
from ..runtime.base import Container
from .connection import CHANNELS, ConnectionFolder
from .ending import startup_error
from .folders import Guarded
from .host import current_host
from .launch import has_magic, kernel_config, pick_environment
from .options import KernelOptions
from .relay import open_relay
from .target import build_target, find_target

__all__ = ["run_kernel"]

POLL = 0.05
GRACE = 5.0
"""Seconds that a kernel has to end after SIGTERM."""


def run_kernel(options: KernelOptions, connection_file: Path, *, monitor: Monitor = silent) -> int:
    """Run the kernel behind the client's *connection_file* until it ends; returns its exit code.

    Call it in a process's main thread: it handles SIGINT and SIGTERM.
    """
    info = _read_connection(connection_file)
    host = current_host()
    target = find_target(options, host.paths, host.store) or build_target(options, host, monitor=monitor)
    connection = ConnectionFolder.choose(host.paths)
    env = pick_environment(dict(os.environ), {}, options.pass_env)
    config = kernel_config(
        target, options, connection, Guarded.current(host.paths), folder=Path.cwd().absolute(), env=env
    )
    connection.make()
    inner = {**info, "transport": "ipc", "ip": connection.address, **connection.ports}
    connection.write(inner)
    if has_magic(target):
        connection.write_magic(target.name)
    container = host.runtime.create(config)
    try:
        container.start()
        code = asyncio.run(_attend(container, info, connection))
        if not connection.bound() and code:
            raise startup_error(target.name, container)
        return code
    finally:
        container.remove(force=True)
        connection.remove()


async def _attend(container: Container, info: dict[str, object], connection: ConnectionFolder) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, _pass_on, container, signal.SIGINT)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    client = os.getppid()
    async with open_relay(info, connection):
        while (code := container.poll()) is None:
            if stop.is_set() or os.getppid() != client:
                return await asyncio.to_thread(container.stop, grace=GRACE)
            await asyncio.sleep(POLL)
    return code


def _pass_on(container: Container, number: signal.Signals) -> None:
    with suppress(ContainersError):  # it has just ended; the loop sees that next
        container.signal(number)


def _read_connection(file: Path) -> dict[str, object]:
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
        needed = ("transport", "ip", "key", *(f"{channel}_port" for channel in CHANNELS))
        missing = [key for key in needed if key not in info]
    except OSError as error:
        raise InputError(f"cannot read the connection file {file}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise InputError(f"the connection file {file} is not valid: {error}") from error
    if missing:
        raise InputError(f"the connection file {file} lacks {', '.join(missing)}")
    return dict(info)
