"""The reaper: a small process that outlives its owner by a moment, and takes the owner's containers with it.

The kernel ends a container's processes when its owner dies (PR_SET_PDEATHSIG through bwrap's --die-with-parent), even
by ``kill -9``. What no kernel removes are control groups, writable layers and sockets: the reaper does. One per
owner process, started with its first container. The owner writes ``+<id>`` and ``-<id>`` lines to its standard
input; end of file or the owner's end starts the work.

Run as ``python -I -S reaper.py CONTAINERS OWNER PATH…``: until then only :mod:`os`, :mod:`select`, :mod:`signal` and
:mod:`sys` are imported, about 6 MiB.
"""

from __future__ import annotations

import os
import select
import signal
import sys

__all__ = ["main"]


def main(argv: list[str]) -> int:
    containers, owner, paths = argv[0], int(argv[1]), argv[2:]
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # whatever ends the owner's session must not end its reaper
    left = _watch(owner)
    if not left:
        return 0
    return _reap(containers, sorted(left), paths)


def _watch(owner: int) -> set[str]:
    """Wait for the owner's end; the ids of the containers that it has not ended itself."""
    alive: set[str] = set()
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    # End of file is not enough: a child that the owner has forked holds the pipe's other end as well.
    handle = _open_owner(owner)
    if handle is not None:
        poll.register(handle, select.POLLIN)
    rest = b""
    while True:
        ready = dict(poll.poll())
        if 0 in ready:
            data = os.read(0, 65536)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                container_id = line[1:].decode("ascii", "replace")
                (alive.add if line[:1] == b"+" else alive.discard)(container_id)
            if not data:
                return alive
        elif handle in ready:
            return alive


def _open_owner(owner: int) -> int | None:
    try:
        handle = os.pidfd_open(owner)
    except OSError:
        return None  # gone already: the pipe ends at once
    return handle if os.getppid() == owner else None


def _reap(containers: str, left: list[str], paths: list[str]) -> int:
    sys.path[:0] = paths
    from pathlib import Path

    from jupyter_containers.runtime.removal import end_processes, settle_container

    folders = [Path(containers) / container_id for container_id in left]
    failed = 0
    # First everything that runs, then what takes time.
    for step in (end_processes, lambda folder: settle_container(folder, "its owner was killed")):
        for folder in folders:
            try:
                step(folder)
            except Exception as error:
                print(f"{folder}: {error}", file=sys.stderr, flush=True)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
