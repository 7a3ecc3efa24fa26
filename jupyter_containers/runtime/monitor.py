"""The monitor of a container that outlives its starter: waits, writes the log, writes down the end.

Run as ``python -I -S monitor.py FOLDER OUTER FIRST OUTPUT DISK REMOVE TIME PATH…`` by the process that started it,
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

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    folder = arguments[0]
    outer, first, output, disk, remove, seconds = map(int, arguments[1:7])
    sys.path[:0] = arguments[7:]
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    from jupyter_containers.runtime.disk import DiskWatch
    from jupyter_containers.runtime.log import Log

    log = Log(f"{folder}/log") if output >= 0 else None
    watch = DiskWatch(f"{folder}/upper", disk) if disk else None
    reason = _watch(folder, outer, first, output, log, watch, seconds)
    exit_code = os.waitstatus_to_exitcode(os.waitpid(outer, 0)[1])
    if log is not None:
        log.close()

    from pathlib import Path

    from jupyter_containers.runtime.ending import finish, remove_rest

    end = finish(Path(folder), 128 - exit_code if exit_code < 0 else exit_code, reason=reason, remove=bool(remove))
    if end.left is not None:
        remove_rest(end.left)
    return 0


def _watch(
    folder: str, outer: int, first: int, output: int, log: Log | None, watch: DiskWatch | None, seconds: int
) -> str:
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
    reason = ""
    end = time.monotonic() + seconds if seconds else None
    while waits:
        waiting = [] if watch is None else [max(0.05, watch.due())]
        if end is not None:
            waiting.append(max(0.0, end - time.monotonic()) + 0.001)
        ready = dict(poll.poll(min(waiting) * 1000 if waiting else None))
        for handle in waits & ready.keys():
            poll.unregister(handle)
            waits.discard(handle)
        if output in ready and not _copy(output, log):
            poll.unregister(output)
        if watch is not None and not reason and watch.passed():
            reason = watch.told()
            watch = None
            _end(folder, outer)
        if end is not None and time.monotonic() >= end:
            from jupyter_containers.runtime.deadlines import told

            reason, end = reason or told(seconds), None
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
