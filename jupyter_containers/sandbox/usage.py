"""What a control group has counted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Usage", "read", "usage_v1", "usage_v2"]


_CHUNK = 4096


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


def read(path: Path | str) -> str:
    # Plain system calls and paths that are text: a page that shows 200 containers has 1,400 of these read at a time.
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        text = os.read(handle, _CHUNK)
        while len(text) % _CHUNK == 0 and (more := os.read(handle, _CHUNK)):
            text += more
    except OSError:
        return ""
    finally:
        os.close(handle)
    return text.decode().strip()


def _int(path: str) -> int | None:
    text = read(path)
    return int(text) if text.isdigit() else None


def _table(path: str) -> dict[str, int]:
    """``key value`` lines."""
    pairs = (line.split() for line in read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def usage_v2(folder: Path) -> Usage:
    taken = given = 0
    blocks = read(f"{folder}/io.stat")
    for line in blocks.splitlines():
        pairs = dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
        taken += int(pairs.get("rbytes", 0))
        given += int(pairs.get("wbytes", 0))
    microseconds = _table(f"{folder}/cpu.stat").get("usage_usec")
    has_io = bool(blocks) or os.path.exists(f"{folder}/io.stat")  # noqa: PTH110
    return Usage(
        cpu_seconds=None if microseconds is None else microseconds / 1e6,
        memory=_int(f"{folder}/memory.current"),
        memory_limit=_int(f"{folder}/memory.max"),
        memory_peak=_int(f"{folder}/memory.peak"),
        oom_kills=_table(f"{folder}/memory.events").get("oom_kill"),
        pids=_int(f"{folder}/pids.current"),
        read_bytes=taken if has_io else None,
        write_bytes=given if has_io else None,
    )


def usage_v1(folders: Mapping[str, Path]) -> Usage:
    def file(controller: str, name: str) -> str:
        return f"{folders.get(controller, '/nonexistent')}/{name}"

    nanoseconds = _int(file("cpuacct", "cpuacct.usage"))
    limit = _int(file("memory", "memory.limit_in_bytes"))
    totals = {"Read": 0, "Write": 0}
    blocks = read(file("blkio", "blkio.throttle.io_service_bytes_recursive"))  # `Total 0` at least, where it is
    for line in blocks.splitlines():
        words = line.split()  # 254:0 Read 4096
        if len(words) == 3 and words[1] in totals:
            totals[words[1]] += int(words[2])
    return Usage(
        cpu_seconds=None if nanoseconds is None else nanoseconds / 1e9,
        memory=_int(file("memory", "memory.usage_in_bytes")),
        memory_limit=limit if limit is not None and limit < 1 << 60 else None,  # no limit is 2⁶³ less a page
        memory_peak=_int(file("memory", "memory.max_usage_in_bytes")),
        oom_kills=_table(file("memory", "memory.oom_control")).get("oom_kill"),
        pids=_int(file("pids", "pids.current")),
        read_bytes=totals["Read"] if blocks else None,
        write_bytes=totals["Write"] if blocks else None,
    )
