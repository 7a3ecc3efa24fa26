"""The monitor of a container that outlives its starter: waits, writes the log, writes down the end.

Run as ``python -I -S monitor.py FOLDER OUTER FIRST OUTPUT DISK REMOVE TIME OUTLIVE PATH…`` by what has started it,
in its own place (execv), so that the sandbox is a child of this process. Descriptors that hold the folder's lock and
the image's lease are inherited and simply stay open. Until the end only a few modules are imported.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # as typing has it, whose import costs more than all else here
if TYPE_CHECKING:
    from jupyter_containers.runtime.disk import DiskWatch
    from jupyter_containers.runtime.log import Log
    from jupyter_containers.runtime.ownership import OwnerWatch
    from jupyter_containers.runtime.scratch import ScratchWatch

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    folder = arguments[0]
    outer, first, output, disk, remove, seconds, outlive = map(int, arguments[1:8])
    sys.path[:0] = arguments[8:]
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    from pathlib import Path

    from jupyter_containers.runtime.disk import DiskWatch
    from jupyter_containers.runtime.log import Log
    from jupyter_containers.runtime.ownership import OwnerWatch

    log = Log(f"{folder}/log") if output >= 0 else None
    disks = DiskWatch(f"{folder}/upper", disk) if disk else None
    owner = OwnerWatch(Path(folder), outlive) if outlive else None
    bounds = _Bounds(disks, owner, seconds)
    _watch_scratch(folder, bounds)
    reason = _watch(folder, outer, first, output, log, bounds)
    exit_code = os.waitstatus_to_exitcode(os.waitpid(outer, 0)[1])

    from jupyter_containers.runtime.ending import finish, remove_rest

    left_alone = owner is not None and owner.is_alone()  # nobody could talk to it again, or would remove it
    code = 128 - exit_code if exit_code < 0 else exit_code
    end = finish(Path(folder), code, reason=reason, remove=bool(remove) or left_alone)
    if end.left is not None:
        remove_rest(end.left)
    return 0


class _Bounds:
    """What may end a container before its program does."""

    def __init__(self, disk: DiskWatch | None, owner: OwnerWatch | None, seconds: int) -> None:
        self.disk, self.owner, self.seconds = disk, owner, seconds
        self.end = time.monotonic() + seconds if seconds else None
        self.scratch: ScratchWatch | None = None
        self.reasons: list[str] = []
        """What the watch of its scratch folders has found."""

    def due(self) -> float | None:
        """Seconds until one has to be looked at."""
        times = [] if self.disk is None else [max(0.05, self.disk.due())]
        if self.end is not None:
            times.append(max(0.0, self.end - time.monotonic()) + 0.001)
        if self.owner is not None and (due := self.owner.due()) is not None:
            times.append(due + 0.001)
        return min(times, default=None)

    def passed(self) -> str:
        """Why it is to be ended now; empty: it is not."""
        if self.reasons:
            return self.reasons[0]
        if self.disk is not None and self.disk.passed():
            return self.disk.told()
        if self.end is not None and time.monotonic() >= self.end:
            from jupyter_containers.runtime.deadlines import told

            return told(self.seconds)
        if self.owner is not None and self.owner.passed():
            return self.owner.told()
        return ""


def _watch_scratch(folder: str, bounds: _Bounds) -> None:
    with open(f"{folder}/config.json", "rb") as file:
        text = file.read()
    if b'"scratch":[]' in text:
        return  # most: json and ctypes are not for them
    import json

    from jupyter_containers.runtime.scratch import ScratchWatch

    bounds.scratch = ScratchWatch()
    for path in json.loads(text).get("scratch", ()):
        bounds.scratch.add(path, bounds.reasons.append)


def _watch(folder: str, outer: int, first: int, output: int, log: Log | None, bounds: _Bounds) -> str:
    """Copy output until both processes have ended; the reason, where we ended it ourselves."""
    poll = select.poll()
    waits = set()
    for pid in (outer, first):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        waits.add(handle)
        poll.register(handle, select.POLLIN)
    if output >= 0:
        poll.register(output, select.POLLIN)
    if bounds.scratch is not None:
        poll.register(bounds.scratch.fd, select.POLLIN)
    watched = None
    reason = ""
    while waits:
        if bounds.owner is not None and bounds.owner.handle != watched:
            watched = bounds.owner.handle
            if watched is not None:
                poll.register(watched, select.POLLIN)
        due = None if reason else bounds.due()
        ready = dict(poll.poll(None if due is None else due * 1000))
        for handle in waits & ready.keys():
            poll.unregister(handle)
            waits.discard(handle)
        if output in ready and not _copy(output, log):
            poll.unregister(output)
        if bounds.owner is not None and watched in ready:
            poll.unregister(watched)
            bounds.owner.owner_ended()
        if bounds.scratch is not None and bounds.scratch.fd in ready:
            bounds.scratch.look()
        if not reason and (reason := bounds.passed()):
            _end(folder, outer)
    if output >= 0:
        os.set_blocking(output, False)
        while _copy(output, log):
            pass
    return reason


def _end(folder: str, outer: int) -> None:
    from pathlib import Path

    from jupyter_containers.runtime.removal import let_go

    os.kill(outer, signal.SIGKILL)  # our child, not waited for yet: the number is its own
    let_go(Path(folder))  # it may be paused


def _copy(output: int, log: Log | None) -> bool:
    """Move output to the log; False when there is no more. A pseudo-terminal ends with EIO."""
    try:
        data = os.read(output, 1 << 16)
    except OSError:
        return False
    if data and log is not None:
        log.write(data)
    return bool(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
