"""What a container uses: of its control group where there is one that counts, else the sum over its processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .base import ContainerConfig, Stats
from .folder import Folder, Kept
from .processes import list_inside
from .removal import find_group

if TYPE_CHECKING:
    import psutil

    from ..sandbox.cgroup import Group

__all__ = ["Sample", "Total", "add_up", "note_activity", "read_sample", "read_stats"]


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What several containers use together."""

    containers: int = 0
    cpu_percent: float = 0.0
    memory: int = 0
    pids: int = 0
    read_bytes: int = 0
    write_bytes: int = 0


def add_up(stats: Iterable[Stats]) -> Total:
    """Pure. Peaks are not added: they were at different times."""
    total = dict.fromkeys(Total.__struct_fields__, 0)
    for item in stats:
        total["containers"] += 1
        for name in Total.__struct_fields__[1:]:
            total[name] += getattr(item, name)
    return Total(**total)


class Sample(msgspec.Struct, frozen=True):
    """Figures at one time."""

    time: float
    """Seconds of a clock that does not jump."""
    cpu_seconds: float
    memory: int
    memory_limit: int | None
    memory_peak: int | None
    pids: int
    read_bytes: int
    write_bytes: int

    def since(self, before: Sample | None, *, container_id: str, name: str) -> Stats:
        """As statistics; the CPU share since the sample *before*, 0 without one. Pure."""
        share = 0.0
        if before is not None and self.time > before.time:
            share = 100 * max(0.0, self.cpu_seconds - before.cpu_seconds) / (self.time - before.time)
        return Stats(
            id=container_id, name=name, cpu_seconds=self.cpu_seconds, cpu_percent=share, memory=self.memory,
            memory_limit=self.memory_limit, memory_peak=self.memory_peak, pids=self.pids,
            read_bytes=self.read_bytes, write_bytes=self.write_bytes,
        )  # fmt: skip


def read_stats(folder: Folder, config: ContainerConfig, kept: Kept, sample: Sample, before: Sample | None) -> Stats:
    """What is told of the running container in *folder*: its *sample*, and what is known of it besides."""
    stats = sample.since(before, container_id=folder.id, name=config.name)
    # Of a network of its own it has the loopback alone, over which nothing comes from anywhere else.
    bytes_over_network = None if config.network == "full" else 0
    return msgspec.structs.replace(
        stats, received_bytes=bytes_over_network, sent_bytes=bytes_over_network,
        uptime=max(0.0, time.time() - (kept.started_at or kept.created_at)), last_activity=_last_activity(folder),
    )  # fmt: skip


def note_activity(folder: Folder, at: float) -> None:
    """As of :meth:`.base.Container.note_activity`: the time of a file, so that a write is one system call."""
    file = folder.path / "activity"
    with suppress(FileNotFoundError):  # the container has been removed
        try:
            os.utime(file, (at, at))
        except FileNotFoundError:
            file.touch(mode=0o600)
            os.utime(file, (at, at))


def _last_activity(folder: Folder) -> float | None:
    try:
        return os.stat(f"{folder.path}/activity").st_mtime  # noqa: PTH116  a thousand of them at a look
    except OSError:
        return None


def read_sample(path: Path, first: int) -> Sample:
    """Of the container in *path* whose pid 1 is *first*; what its control group does not count is summed up."""
    group = _group(path, first)
    usage = group.stats() if group is not None else None
    summed: Sample | None = None

    def by_processes() -> Sample:
        nonlocal summed
        summed = summed or _sum(first)
        return summed

    def told(name: str) -> Any:
        return getattr(usage, name) if usage is not None else None

    def number(name: str) -> Any:
        value = told(name)
        return getattr(by_processes(), name) if value is None else value

    limit, peak = told("memory_limit"), told("memory_peak")
    return Sample(
        time=time.monotonic(),
        cpu_seconds=float(number("cpu_seconds")),
        memory=int(number("memory")),
        memory_limit=None if limit is None else int(limit),
        memory_peak=None if peak is None else int(peak),
        pids=int(number("pids")),
        read_bytes=int(number("read_bytes")),
        write_bytes=int(number("write_bytes")),
    )


@lru_cache(maxsize=4096)
def _group(path: Path, first: int) -> Group | None:
    """Found once for each start, which *first* tells from others."""
    return find_group(path) if (path / "group.json").exists() else None


def _sum(first: int) -> Sample:
    """Memory: the proportional share (PSS), so that what processes share is counted once."""
    import psutil  # late: 10 ms that a start need not pay

    cpu, memory, threads, read, written = 0.0, 0, 0, 0, 0
    for pid in list_inside(first):
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            times = process.cpu_times()
            # Children that have ended count as well, as they do in a control group.
            cpu += times.user + times.system + times.children_user + times.children_system
            threads += process.num_threads()
            memory += _memory(process)
            io = process.io_counters()
            read += io.read_bytes
            written += io.write_bytes
    return Sample(time.monotonic(), cpu, memory, None, None, threads, read, written)


def _memory(process: psutil.Process) -> int:
    import psutil

    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
