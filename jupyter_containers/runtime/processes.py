"""The processes of a container, seen from the host: those of its pid namespace (pid_namespaces(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Inside",
    "Look",
    "count_switches",
    "find_main",
    "is_first",
    "list_inside",
    "read_inside",
    "signal_inside",
]


class Inside(NamedTuple):
    """A process: its number on the host, its number in the container, its process group (host numbering)."""

    pid: int
    inner: int
    group: int


def list_inside(first: int) -> list[int]:
    """Pids, host numbering, of the processes that share the pid namespace of *first*, the container's pid 1.

    One look at each process of the host; `exec`'s processes are not *first*'s children, so that a walk down the tree
    would miss them.
    """
    return Look().inside(first) if is_first(first) else []


def is_first(pid: int) -> bool:
    """Whether *pid* is the first process of a pid namespace; False: it has ended, and its number may be another's."""
    found = read_inside(pid)
    return found is not None and found.inner == 1 and pid != 1


class Look:
    """Which processes of the host are in which namespace, found out when it is first asked for."""

    def __init__(self) -> None:
        self._pids: dict[int, list[int]] | None = None

    def inside(self, first: int) -> list[int]:
        """As :func:`list_inside`, of a *first* that :func:`is_first`."""
        if self._pids is None:
            self._pids = {}
            for pid in _all_pids():
                namespace = _namespace(pid)
                if namespace is not None:
                    self._pids.setdefault(namespace, []).append(pid)
        namespace = _namespace(first)
        return [] if namespace is None else self._pids.get(namespace, [])


def read_inside(pid: int) -> Inside | None:
    """None once it has gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return None
    numbers = group = ""
    for line in text.splitlines():
        if line.startswith("NSpid:"):
            numbers = line
        elif line.startswith("NSpgid:"):
            group = line
    return Inside(pid, int(numbers.split()[-1]), int(group.split()[1])) if numbers and group else None


def count_switches(pid: int) -> int | None:
    """How often the first thread of *pid* has left its processor (proc_pid_status(5)); None once it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches:" in line)


def find_main(first: int) -> Inside | None:
    """The program that the container was started with: bwrap's only child, else *first* itself (an init of its own).

    bwrap's own pid 1 forks once before it only reaps: its program is number 2.
    """
    init = read_inside(first)
    if init is None or init.inner != 1 or first == 1:
        return None  # it has ended, and its number may be another's
    try:
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    except OSError:
        return None
    for child in sorted(map(int, children)):
        found = read_inside(child)
        if found is not None and found.inner == 2:
            return found
    return init


def signal_inside(first: int, number: int) -> bool:
    """Send *number* to the container's program and its process group, as a terminal's Ctrl-C does; False: it has gone.

    pid 1 of a namespace ignores what it has no handler for (pid_namespaces(7)), so that bwrap's reaper, which is of
    the same group, is not hit. bwrap's outer process is never of that group (--new-session).
    """
    main = find_main(first)
    if main is None:
        return False
    try:
        if _namespace(main.group) == _namespace(first):  # who leads the group is one of the container's
            os.killpg(main.group, number)
        else:
            os.kill(main.pid, number)
    except ProcessLookupError:
        return False
    return True


def _all_pids() -> Iterator[int]:
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                yield int(entry.name)


def _namespace(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino  # noqa: PTH116
    except OSError:
        return None
