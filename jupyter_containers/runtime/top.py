"""The processes of a container, as the host sees them, with the numbers and names that they have inside."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import psutil

from ..errors import ContainerError
from .base import ContainerState
from .processes import list_inside, read_inside
from .translate import USER

__all__ = ["Row", "list_processes"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    """In the container."""
    host_pid: int
    user: str
    """In the container: ``root`` or ``jovyan``."""
    cpu_seconds: float
    rss: int
    """Bytes, memory shared with others counted in full."""
    state: str
    """``running``, ``sleeping``, ``zombie`` …"""
    command: str


def list_processes(state: ContainerState) -> tuple[Row, ...]:
    """By pid. bwrap's own reaper (pid 1) is left out. :class:`ContainerError` where the container does not run."""
    if state.pid is None:
        raise ContainerError(
            f"container {state.name} is not running", hint="`jupyter containers ps` lists those that are"
        )
    rows = []
    for pid in list_inside(state.pid):
        inside = read_inside(pid)
        if inside is None or inside.inner == 1:
            continue
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            with process.oneshot():
                cpu = process.cpu_times()
                rows.append(
                    Row(
                        pid=inside.inner,
                        host_pid=pid,
                        user=_user(pid),
                        cpu_seconds=cpu.user + cpu.system,
                        rss=process.memory_info().rss,
                        state=process.status(),
                        command=" ".join(process.cmdline()) or f"[{process.name()}]",
                    )
                )
    return tuple(sorted(rows, key=lambda row: row.pid))


def _user(pid: int) -> str:
    """The name inside. A sandbox has exactly one id: its user namespace's map has one line (user_namespaces(7))."""
    try:
        with open(f"/proc/{pid}/uid_map") as file:
            inner = file.readline().split()[0]
    except (OSError, IndexError):
        return "?"
    return {"0": "root", "1000": USER}.get(inner, inner)
