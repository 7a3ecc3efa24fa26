"""What a container uses: of its control group where there is one that counts, else the sum over its processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from ..sandbox.usage import Gauge, Usage, read
from .base import ContainerConfig, Stats
from .folder import Folder
from .tally import Tally

__all__ = ["Sample", "Source", "Total", "add_up", "note_activity", "tell"]


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What several containers use together."""

    containers: int = 0
    cpu_percent: float = 0.0
    memory: int = 0
    pids: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    received_bytes: int = 0
    """Of those that have a network of their own, as below."""
    sent_bytes: int = 0


def add_up(stats: Iterable[Stats]) -> Total:
    """Pure. Peaks are not added: they were at different times."""
    total = dict.fromkeys(Total.__struct_fields__, 0)
    for item in stats:
        total["containers"] += 1
        for name in Total.__struct_fields__[1:]:
            total[name] += getattr(item, name) or 0
    return Total(**total)


class Sample(msgspec.Struct, frozen=True, gc=False):
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

    def share(self, before: Sample | None) -> float:
        """Per cent of one CPU since the sample *before*; 0 without one. Pure."""
        if before is None or self.time <= before.time:
            return 0.0
        return 100 * max(0.0, self.cpu_seconds - before.cpu_seconds) / (self.time - before.time)


class Source:
    """One start of a container, as far as it can be measured. Not for two threads at once."""

    def __init__(self, path: Path, first: int) -> None:
        """Of the container in *path* whose pid 1 is *first*."""
        self.first = first
        folders = _folders_of_group(path)
        self._gauge = Gauge(folders, oom_kills=False) if folders else None

    @property
    def files(self) -> int:
        """How many it has open."""
        return self._gauge.files if self._gauge is not None else 0

    def sample(self, tally: Tally, *, keep: bool = False) -> Sample | None:
        """Its figures now: of its control group, and of *tally* what that does not count. None: it has ended.

        With *keep* the files of the group stay open, until :meth:`close`.
        """
        usage = self._gauge.read(keep=keep) if self._gauge is not None else Usage()
        cpu, memory, pids = usage.cpu_seconds, usage.memory, usage.pids
        read, written = usage.read_bytes, usage.write_bytes
        if cpu is None or memory is None or pids is None:
            summed = tally.sum(self.first)
            if summed is None:
                return None
            cpu = summed.cpu_seconds if cpu is None else cpu
            memory = summed.memory if memory is None else memory
            pids = summed.threads if pids is None else pids
            read = summed.read_bytes if read is None else read
            written = summed.write_bytes if written is None else written
        elif read is None or written is None:
            read, written = tally.blocks(self.first)
        return Sample(
            time.monotonic(), cpu, memory, usage.memory_limit, usage.memory_peak, pids, read, written
        )  # fmt: skip

    def close(self) -> None:
        if self._gauge is not None:
            self._gauge.close()


def tell(folder: Folder, config: ContainerConfig, sample: Sample, before: Sample | None, *, started_at: float) -> Stats:
    """What is told of the container in *folder*: its *sample*, the CPU share since the one *before* (0 without one),
    and what is known of it besides."""
    # Of a network of its own it has the loopback alone, over which nothing comes from anywhere else.
    over_network = None if config.network == "full" else 0
    return Stats(
        id=folder.id, name=config.name, cpu_seconds=sample.cpu_seconds, cpu_percent=sample.share(before),
        memory=sample.memory, memory_limit=sample.memory_limit, memory_peak=sample.memory_peak, pids=sample.pids,
        read_bytes=sample.read_bytes, write_bytes=sample.write_bytes, received_bytes=over_network,
        sent_bytes=over_network, uptime=max(0.0, time.time() - started_at), last_activity=_last_activity(folder),
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


class _Group(msgspec.Struct):
    """Of ``group.json`` (:meth:`.sandbox.cgroup.Group.describe`), what it takes to measure."""

    folders: dict[str, str] = {}


_group_decoder = msgspec.json.Decoder(_Group)


def _folders_of_group(path: Path) -> dict[str, str]:
    """By controller, of the control group of the container in *path*; none where it has none."""
    text = read(f"{path}/group.json")
    try:
        return _group_decoder.decode(text).folders if text else {}
    except msgspec.DecodeError:  # half of it, of a start that was killed
        return {}


def _last_activity(folder: Folder) -> float | None:
    try:
        return os.stat(f"{folder.path}/activity").st_mtime  # noqa: PTH116  a thousand of them at a look
    except OSError:
        return None
