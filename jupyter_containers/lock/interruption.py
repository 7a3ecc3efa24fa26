"""Waits that can be left at once.

Work in Python goes on in a thread of its own, which ends by itself soon after: Python can't end a thread, and a
connection that a mirror does not answer takes its time-out. Programs are killed.
"""

from __future__ import annotations

import contextvars
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import CancelledError

__all__ = ["run_program", "wait_for"]

_T = TypeVar("_T")
_LOOK = 0.1
"""Seconds between two looks at what may end the wait."""
_GRACE = 1.0
"""Seconds that the work is given to end its processes when it is left."""


def wait_for(
    work: Callable[[], _T],
    *,
    stop: threading.Event,
    cancel: threading.Event | None,
    told: str = "stopped while versions were looked for",
    hint: str = "what was downloaded is kept",
) -> _T:
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
                    raise CancelledError(told, hint=hint) from None
    except BaseException:
        stop.set()
        thread.join(_GRACE)
        raise
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # None only where that is what it returned


def run_program(
    command: Sequence[str], *, work: Path, env: Mapping[str, str], stop: threading.Event | None
) -> subprocess.CompletedProcess[str]:
    """Run *command* in the folder *work*; its output as text. When *stop* is set it is killed, and
    :class:`CancelledError` raised."""
    with subprocess.Popen(
        command, cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace",
    ) as process:  # fmt: skip
        try:
            while True:
                try:
                    output, errors = process.communicate(timeout=None if stop is None else _LOOK)
                    return subprocess.CompletedProcess(command, process.returncode, output, errors)
                except subprocess.TimeoutExpired:
                    if stop is not None and stop.is_set():
                        raise CancelledError(f"{Path(command[0]).name} was stopped") from None
        except BaseException:
            process.kill()
            raise
