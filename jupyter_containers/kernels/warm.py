"""Inside a fork server: what makes it ready for kernels, and how a fork becomes one.

Only the image's Python runs this, with the image's ipykernel; nothing of this program but :mod:`..sandbox.fork.server`
is there. ``python -m ipykernel_launcher`` is what a fresh kernel runs.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import count
from typing import Any

from ..sandbox.fork.code import find_written, read_all
from . import ahead
from .rehearsal import play, tell_from_child

__all__ = ["become", "prepare"]

_shell: ahead.Shell | None = None
_set: dict[str, str] = {}
"""Variables that modules have set when they were imported."""

_BACKEND = "module://matplotlib_inline.backend_inline"


def prepare(words: Sequence[str]) -> list[int]:
    """Import what every kernel does, and the modules that *words* name (``[kernel] preload``), and make a shell.

    No more than that: a kernel that has been started would leave sockets and threads. Returns the ids of the code that
    a kernel is going to run (:mod:`..sandbox.fork.code`).
    """
    global _shell
    before = dict(os.environ)
    # As ipykernel does before the first cell: matplotlib reads it when it is imported, which *words* may ask for.
    os.environ.setdefault("MPLBACKEND", _BACKEND)
    for name in ("ipykernel.kernelapp", *words):
        import_module(name)
    _refuse_contexts()
    told = tell_from_child(_rehearse)
    for name in told.split() if told else ():
        if name not in sys.modules:
            try:  # noqa: SIM105
                import_module(name)
            except ImportError:
                pass  # made up by another module, or not to be imported twice
    written = tell_from_child(lambda: _list_code(ahead.try_out))
    if written is not None:
        _shell = ahead.make_shell()
    else:
        written = tell_from_child(lambda: _list_code(lambda play: play()))
    _set.update({name: value for name, value in os.environ.items() if name not in before})
    return [int(each) for each in written.split()] if written else []


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


def _refuse_contexts() -> None:
    """A ZMQ context has threads that are in no fork: whatever uses it there waits for ever."""
    import zmq  # ipykernel has brought it

    # By type(): isinstance() asks the object, and some objects answer by importing or computing something.
    left = [each for each in gc.get_objects() if issubclass(type(each), zmq.Context) and not each.closed]
    if left:
        raise RuntimeError("what is imported has left a ZMQ context, which no fork can use")


def _rehearse() -> str:
    """The modules that a kernel has imported by its first replies, or by its failure."""
    with suppress(Exception):
        play()
    return "\n".join(name for name, module in list(sys.modules.items()) if module is not None and name != "__main__")


def _list_code(perform: Callable[[Callable[[], None]], None]) -> str:
    """The ids of the code that a play runs for the first time; it is given to *perform*."""
    before: dict[int, bytes] = {}

    def noted() -> None:
        before.update(read_all())
        play()

    perform(noted)
    return " ".join(map(str, find_written(before)))


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
