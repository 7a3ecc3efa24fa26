"""What a control group has counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Usage", "read", "usage_v1", "usage_v2"]


class Usage(NamedTuple):
    """Figures of a group; None: this host does not count it."""

    cpu_seconds: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    memory_peak: int | None = None
    oom_kills: int | None = None
    pids: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None


def read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _int(path: Path) -> int | None:
    text = read(path)
    return int(text) if text.isdigit() else None


def _table(path: Path) -> dict[str, int]:
    """``key value`` lines."""
    pairs = (line.split() for line in read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def usage_v2(folder: Path) -> Usage:
    taken = given = 0
    for line in read(folder / "io.stat").splitlines():
        pairs = dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
        taken += int(pairs.get("rbytes", 0))
        given += int(pairs.get("wbytes", 0))
    microseconds = _table(folder / "cpu.stat").get("usage_usec")
    has_io = (folder / "io.stat").exists()
    return Usage(
        cpu_seconds=None if microseconds is None else microseconds / 1e6,
        memory=_int(folder / "memory.current"),
        memory_limit=_int(folder / "memory.max"),
        memory_peak=_int(folder / "memory.peak"),
        oom_kills=_table(folder / "memory.events").get("oom_kill"),
        pids=_int(folder / "pids.current"),
        read_bytes=taken if has_io else None,
        write_bytes=given if has_io else None,
    )


def usage_v1(folders: Mapping[str, Path]) -> Usage:
    nowhere = Path("/nonexistent")
    memory, pids = folders.get("memory", nowhere), folders.get("pids", nowhere)
    nanoseconds = _int(folders.get("cpuacct", nowhere) / "cpuacct.usage")
    limit = _int(memory / "memory.limit_in_bytes")
    totals = {"Read": 0, "Write": 0}
    blocks = folders.get("blkio", nowhere) / "blkio.throttle.io_service_bytes_recursive"
    for line in read(blocks).splitlines():
        words = line.split()  # 254:0 Read 4096
        if len(words) == 3 and words[1] in totals:
            totals[words[1]] += int(words[2])
    return Usage(
        cpu_seconds=None if nanoseconds is None else nanoseconds / 1e9,
        memory=_int(memory / "memory.usage_in_bytes"),
        memory_limit=limit if limit is not None and limit < 1 << 60 else None,  # no limit is 2⁶³ less a page
        memory_peak=_int(memory / "memory.max_usage_in_bytes"),
        oom_kills=_table(memory / "memory.oom_control").get("oom_kill"),
        pids=_int(pids / "pids.current"),
        read_bytes=totals["Read"] if blocks.exists() else None,
        write_bytes=totals["Write"] if blocks.exists() else None,
    )
