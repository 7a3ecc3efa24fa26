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
from pathlib import Path

from ..errors import ContainerError
from .folder import Folder, Identity, Kept, scope
from .freezing import bring_to_standstill, has_freezer
from .identity import open_process
from .processes import count_switches, find_main, list_inside
from .removal import find_group

__all__ = ["is_doomed", "pause", "resume"]

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


def is_doomed(first: int) -> bool:
    """Whether a paused container, whose first process is *first*, ends when it goes on: it has been killed, which a
    process that is frozen (control groups v1) does not notice before."""
    main = find_main(first)
    return main is None or any(map(_awaits_its_end, {first, main.pid}))


def _awaits_its_end(pid: int) -> bool:
    """Whether SIGKILL is pending (proc_pid_status(5), ``SigPnd`` and ``ShdPnd``)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return True
    pending = [int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(mask >> (signal.SIGKILL - 1) & 1 for mask in pending)


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
