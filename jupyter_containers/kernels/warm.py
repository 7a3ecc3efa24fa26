"""Inside a fork server: what makes it ready for kernels, and how a fork becomes one.

Only the image's Python runs this, with the image's ipykernel; nothing of this program but :mod:`..sandbox.fork.server`
is there. ``python -m ipykernel_launcher`` is what a fresh kernel runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import count
from typing import Any

from . import ahead

__all__ = ["become", "prepare"]

_shell: ahead.Shell | None = None
_set: dict[str, str] = {}
"""Variables that modules have set when they were imported."""

_BACKEND = "module://matplotlib_inline.backend_inline"


def prepare(words: Sequence[str]) -> None:
    """Import what every kernel does, and the modules that *words* name (``[kernel] preload``), and make a shell.

    No more than that: a kernel that has been started would leave sockets and threads.
    """
    global _shell
    before = dict(os.environ)
    # As ipykernel does before the first cell: matplotlib reads it when it is imported, which *words* may ask for.
    os.environ.setdefault("MPLBACKEND", _BACKEND)
    for name in ("ipykernel.kernelapp", *words):
        import_module(name)
    for name in _rehearse():
        if name not in sys.modules:
            try:  # noqa: SIM105
                import_module(name)
            except ImportError:
                pass  # made up by another module, or not to be imported twice
    if ahead.try_out(_play):
        _shell = ahead.make_shell()
    _set.update({name: value for name, value in os.environ.items() if name not in before})


def become(argv: list[str]) -> None:
    """Be the kernel that ``python -m ipykernel_launcher …`` is: *argv* from ``python`` on."""
    from ipykernel import kernelapp

    for name, value in _set.items():
        os.environ.setdefault(name, value)
    _reseed()
    sys.argv = [kernelapp.__file__.replace("kernelapp.py", "").rstrip("/") + "_launcher.py", *argv[3:]]
    sys.path[:] = [entry for entry in sys.path if entry]  # ipykernel_launcher takes the working directory off, too
    if _shell is not None:
        _shell.offer()
    kernelapp.launch_new_instance()


def _rehearse() -> list[str]:
    """The modules that a kernel has imported by its first reply: a child becomes one, and tells."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            _play()
            names = [name for name, module in list(sys.modules.items()) if module is not None]
            os.write(write, "\n".join(names).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        names = file.read().decode().split("\n")
    os.waitpid(child, 0)
    return [name for name in names if name and name != "__main__"]


def _play() -> None:
    """A kernel from its start to its first replies, with nobody who hears it."""
    import asyncio
    import tempfile

    kernelapp: Any = import_module("ipykernel.kernelapp")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    with tempfile.TemporaryDirectory() as folder:
        app = kernelapp.IPKernelApp(transport="ipc", ip=f"{folder}/k", connection_dir=folder)
        app.initialize(["-f", f"{folder}/connection.json", "--HistoryManager.hist_file=:memory:"])

        async def act() -> None:
            await app.kernel.do_execute("1 + 1", False)
            await app.kernel.do_execute("raise ValueError", False)

        asyncio.new_event_loop().run_until_complete(act())


def _reseed() -> None:
    """What must not be the same in two forks. The module random sees to itself, OpenSSL and uuid to themselves."""
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None  # type: ignore[attr-defined]
    threading: Any = sys.modules.get("threading")
    if hasattr(threading, "_counter"):
        threading._counter = count(1).__next__  # of threads that have no name
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()
