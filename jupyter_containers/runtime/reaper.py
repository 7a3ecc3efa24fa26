"""The reaper: a small process that outlives its owner by a moment, and takes the owner's containers with it.

The kernel ends a container's processes when its owner dies (PR_SET_PDEATHSIG through bwrap's --die-with-parent), even
by ``kill -9``. What no kernel removes are control groups, writable layers and sockets: the reaper does. One per
owner process, started with its first container. The owner writes ``+<id>`` and ``-<id>`` lines to its standard
input; end of file or the owner's end starts the work.

While the owner lives it removes folders that the owner has put out of sight (``~<name>``): a process of its own does
that beside the owner's threads, which would have to take turns with it (the interpreter's lock).

Run as ``python -I -S reaper.py CONTAINERS OWNER PATH…``: until there is work only :mod:`os`, :mod:`select`,
:mod:`signal` and :mod:`sys` are imported, about 6 MiB.
"""

from __future__ import annotations

import os
import select
import signal
import sys

TYPE_CHECKING = False  # typing is a slow import, and large
if TYPE_CHECKING:
    import queue
    import threading
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["main"]


_SIDE_BY_SIDE = 4
"""Processes that take away what an owner has left, at most, and"""
_FOR_EACH = 16
"""containers that it takes for another one."""


def main(argv: list[str]) -> int:
    containers, owner, paths = argv[0], int(argv[1]), argv[2:]
    sys.path += paths
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # whatever ends the owner's session must not end its reaper
    sweeper = _Sweeper(containers)
    left = sorted(_watch(owner, sweeper))
    ended = not left or _end_all(containers, left)
    sweeper.end()
    return _settle_side_by_side(containers, left, ended)


class _Sweeper:
    """Removes hidden folders, one after the other, in a thread: a large one must not hold up the owner's next words."""

    def __init__(self, containers: str) -> None:
        self._containers = containers
        self._names: queue.SimpleQueue[str] | None = None
        self._thread: threading.Thread | None = None

    def add(self, name: str) -> None:
        if self._names is None:
            import queue
            import threading

            self._names = queue.SimpleQueue()
            self._thread = threading.Thread(target=self._sweep, args=(self._names,), daemon=True)
            self._thread.start()
        self._names.put(name)

    def end(self) -> None:
        """Returns when all is done."""
        if self._names is not None and self._thread is not None:
            self._names.put("")
            self._thread.join()

    def _sweep(self, names: queue.SimpleQueue[str]) -> None:
        from pathlib import Path

        from jupyter_containers.image.tree import remove_tree

        while name := names.get():
            _tried(remove_tree, Path(self._containers, name))


def _watch(owner: int, sweeper: _Sweeper) -> set[str]:
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
                name = line[1:].decode("ascii", "replace")
                if line[:1] == b"~":
                    sweeper.add(name)
                else:
                    (alive.add if line[:1] == b"+" else alive.discard)(name)
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


def _end_all(containers: str, left: list[str]) -> bool:
    """Everything that runs goes first, then what takes time. False where something did not end: each is looked at again
    when it is settled."""
    from pathlib import Path

    from jupyter_containers.runtime.removal import end_processes

    return not _tried(end_processes, *(Path(containers, container_id) for container_id in left))


def _settle_side_by_side(containers: str, left: list[str], ended: bool) -> int:
    number = max(1, min(_SIDE_BY_SIDE, os.cpu_count() or 1, len(left) // _FOR_EACH))
    children = []
    for part in range(1, number):
        child = os.fork()
        if not child:
            os._exit(_settle(containers, left[part::number], ended))
        children.append(child)
    failed = _settle(containers, left[::number], ended)
    for child in children:
        failed |= os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return failed


def _settle(containers: str, left: list[str], ended: bool) -> int:
    failed = 0
    if left:
        from pathlib import Path

        for container_id in left:
            failed |= _tried(_settle_one, Path(containers, container_id), ended)
    return failed


def _settle_one(folder: Path, ended: bool) -> None:
    from jupyter_containers.runtime.removal import settle_container

    settle_container(folder, "its owner was killed", ended=ended)


def _tried(function: Callable[..., object], *arguments: object) -> int:
    try:
        function(*arguments)
    except Exception as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
