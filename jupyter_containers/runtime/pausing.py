"""A container that is paused uses no CPU until it is told to go on; what it holds in memory stays.

By its control group's freezer where it has one, else by SIGSTOP to each of its processes (:mod:`.freezing`). That it is
paused stands in ``state.json``: before its processes are stopped, and until they go on, so that whoever is killed in
between leaves a container that :func:`resume` helps.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

from ..errors import ContainerError
from .folder import Folder, Identity, Kept, scope
from .freezing import bring_to_standstill, has_freezer
from .identity import open_process
from .processes import count_switches, find_main, list_inside
from .removal import find_group

__all__ = ["pause", "resume"]

_SETTLED = 0.05
"""Seconds: one that computes has no need to leave its processor."""


def pause(folder: Folder) -> None:
    """Nothing where it is paused already. :class:`ContainerError` where it does not run, or does not stand still."""
    kept, name = folder.kept(), folder.config().name
    if not folder.is_running(kept) or kept.pid is None:
        raise ContainerError(f"container {name} is not running", hint="`jupyter containers ps` lists those that are")
    _check_scope(kept, name)
    if kept.paused:
        return
    stopped: list[Identity] = []

    def remember(line: str) -> None:
        pid, _, start = line.partition(" ")
        if pid.isdigit() and start.isdigit():
            stopped.append(Identity(int(pid), int(start)))

    folder.change(paused=True)
    try:
        bring_to_standstill(folder.path, kept.pid, name=name, remember=remember)
        folder.change(stopped=tuple(stopped))
    except BaseException:
        folder.change(stopped=tuple(stopped))
        resume(folder)
        raise


def resume(folder: Folder) -> bool:
    """Have it go on; False where it was not paused.

    It has gone on by the end: a signal that arrives before its first thread has run is another thread's, and a Python
    whose first thread sleeps then sleeps on (half of all interrupts that came right after SIGCONT were lost so).
    """
    kept = folder.kept()
    if not kept.paused or not folder.is_running(kept):
        return False
    _check_scope(kept, folder.config().name)
    main = find_main(kept.pid or 0)
    before = count_switches(main.pid) if main else None
    group = find_group(folder.path)
    if group is not None and has_freezer(group):
        group.freeze(frozen=False)
    else:
        _go_on(kept.stopped or map(Identity.of, list_inside(kept.pid or 0)))
    deadline = time.monotonic() + _SETTLED
    while main and count_switches(main.pid) == before and time.monotonic() < deadline:
        time.sleep(0.0005)
    folder.change(paused=False, stopped=())
    return True


def _go_on(stopped: Iterable[Identity]) -> None:
    for process in stopped:
        handle = open_process(process.pid, process.start)
        if handle is None:
            continue
        try:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGCONT)
        finally:
            os.close(handle)


def _check_scope(kept: Kept, name: str) -> None:
    if kept.scope != scope():
        raise ContainerError(
            f"container {name} runs on another host, or in another container, that has this home", hint="ask there"
        )
