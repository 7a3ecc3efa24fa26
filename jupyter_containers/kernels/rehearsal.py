"""Inside a fork server: a child becomes a kernel, answers a client, and what that took is known before there is one.

Only the image's Python runs this. A kernel that has been started leaves sockets and threads behind, so that the server
itself never is one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["play", "tell_from_child"]

_CELLS = ("1 + 1", "print(1)", "x = [each for each in range(3)]", "raise ValueError")
_PATIENCE = 20.0
"""Seconds that a rehearsal may take."""


def tell_from_child(work: Callable[[], str]) -> str | None:
    """What *work* returns in a child, which ends with it; None where it raises."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            data = work().encode()
            while data:
                data = data[os.write(write, data) :]
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with open(read, "rb") as file:
        text = file.read().decode()
    return text if os.waitpid(child, 0)[1] == 0 else None


def play() -> None:
    """A kernel, from its start to its replies to a client. For a process that does nothing else afterwards."""
    import signal
    import tempfile

    kernelapp: Any = import_module("ipykernel.kernelapp")
    loops: Any = import_module("tornado.ioloop")
    with tempfile.TemporaryDirectory() as folder:
        alive, client = os.pipe()
        if os.fork() == 0:
            try:
                signal.alarm(int(_PATIENCE))
                _ask(f"{folder}/connection.json")
            finally:
                os._exit(0)
        os.close(client)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        app = kernelapp.IPKernelApp.instance(transport="ipc", ip=f"{folder}/k", connection_dir=folder)
        app.initialize(["-f", f"{folder}/connection.json", "--HistoryManager.hist_file=:memory:"])
        loop = loops.IOLoop.current()
        loop.add_handler(alive, lambda *_: loop.stop(), loops.IOLoop.READ)  # its end: the client's
        app.start()


def _ask(file: str) -> None:
    """Be a client of the kernel whose connection file appears."""
    client: Any = import_module("jupyter_client.blocking").BlockingKernelClient()
    while not os.path.exists(file):  # noqa: PTH110
        time.sleep(0.002)
    time.sleep(0.002)
    client.load_connection_file(file)
    while not all(os.path.exists(f"{client.ip}-{port}") for port in client.ports):  # noqa: PTH110
        time.sleep(0.002)
    client.start_channels()
    for code in _CELLS:
        client.execute(code)
        client.get_shell_msg(timeout=_PATIENCE)
    client.kernel_info()
    client.get_shell_msg(timeout=_PATIENCE)
