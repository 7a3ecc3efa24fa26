"""Inside a fork server: what makes it ready for kernels, and how a fork becomes one.

Only the image's Python runs this, with the image's ipykernel; nothing of this program but :mod:`..sandbox.fork.server`
is there. ``python -m ipykernel_launcher`` is what a fresh kernel runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["become", "prepare"]

_MODULES = (
    *("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.heartbeat", "ipykernel.iostream"),
    *("IPython", "IPython.core.completer", "IPython.core.history", "IPython.core.magics", "jedi", "stack_data"),
    *("jupyter_client.session", "zmq.eventloop.zmqstream", "tornado.platform.asyncio", "matplotlib_inline.config"),
    *("sqlite3", "comm", "concurrent.futures.thread", "multiprocessing", "asyncio", "logging.config", "pdb"),
)
"""What a kernel imports until its first reply; those that a version lacks are left out."""


def prepare(words: Sequence[str]) -> None:
    """Import what every kernel does, and the modules that *words* name (``[kernel] preload``)."""
    for name in _MODULES:
        try:
            import_module(name)
        except ImportError:
            continue
    for name in words:
        import_module(name)


def become(argv: list[str]) -> None:
    """Be the kernel that ``python -m ipykernel_launcher …`` is: *argv* from ``python`` on."""
    from ipykernel import kernelapp

    _reseed()
    sys.argv = [kernelapp.__file__.replace("kernelapp.py", "").rstrip("/") + "_launcher.py", *argv[3:]]
    sys.path[:] = [entry for entry in sys.path if entry]  # ipykernel_launcher takes the working directory off, too
    kernelapp.launch_new_instance()


def _reseed() -> None:
    """What must not be the same in two forks. The module random sees to itself, OpenSSL and uuid to themselves."""
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None  # type: ignore[attr-defined]
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()
