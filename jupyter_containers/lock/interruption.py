"""A wait that can be left at once: the work is in a thread of its own, which ends by itself soon after.

Python can't end a thread, and a connection that a mirror does not answer takes its time-out. Whoever asked to stop
does not wait for that.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from ..errors import CancelledError

__all__ = ["wait_for"]

_T = TypeVar("_T")
_LOOK = 0.1
"""Seconds between two looks at what may end the wait."""
_GRACE = 1.0
"""Seconds that the work is given to end its processes when it is left."""


def wait_for(work: Callable[[], _T], *, stop: threading.Event, cancel: threading.Event | None) -> _T:
    """What *work* returns or raises.

    Once *cancel* is set :class:`CancelledError` is raised, and Ctrl-C is passed on, both at once; *stop* is set then,
    by which *work* is to know that nobody waits for it any more.
    """
    results: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((context.run(work), None))
        except BaseException as error:
            results.put((None, error))

    context = contextvars.copy_context()
    thread = threading.Thread(target=run, name="resolution", daemon=True)
    thread.start()
    try:
        while True:
            try:
                value, error = results.get(timeout=_LOOK)
                break
            except queue.Empty:
                if cancel is not None and cancel.is_set():
                    raise CancelledError(
                        "stopped while versions were looked for", hint="what was downloaded is kept"
                    ) from None
    except BaseException:
        stop.set()
        thread.join(_GRACE)
        raise
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # None only where that is what it returned
