"""What containers use, as the feed and other people's status bars are told."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..runtime.base import Stats
from ..runtime.usage import Total, add_up

__all__ = ["StatsReport", "Usage", "describe_all", "describe_kernel", "measured"]

_WARN = 0.1
"""The share of a limit that is left when jupyter-resource-usage begins to warn: its own default."""


class Usage(msgspec.Struct, frozen=True):
    """What a container uses: an item of the feed's ``stats``."""

    id: str
    cpu_percent: float
    memory: int
    memory_limit: int | None
    memory_peak: int | None
    pids: int
    at: float
    """Seconds since the epoch."""
    read_bytes: int
    write_bytes: int
    received_bytes: int | None
    sent_bytes: int | None
    uptime: float
    last_activity: float | None


class StatsReport(msgspec.Struct, frozen=True):
    """The feed's ``stats``."""

    items: list[Usage]
    total: Total


def measured(stats: Sequence[Stats]) -> StatsReport:
    """All of it at this moment."""
    now = time.time()
    items = [
        Usage(
            id=item.id, cpu_percent=round(item.cpu_percent, 2), memory=item.memory, memory_limit=item.memory_limit,
            memory_peak=item.memory_peak, pids=item.pids, at=now, read_bytes=item.read_bytes,
            write_bytes=item.write_bytes, received_bytes=item.received_bytes, sent_bytes=item.sent_bytes,
            uptime=round(item.uptime, 1), last_activity=item.last_activity,
        )
        for item in stats
    ]  # fmt: skip
    return StatsReport(items, add_up(stats))


# The two documents of jupyter-resource-usage (jupyter_resource_usage/api.py of its version 1), whose front end asks
# for them; what it does not know it leaves alone.


def describe_all(
    stats: Iterable[Stats], *, own_memory: int, own_cpu: float, cpus: int, memory_limit: int, cpu_limit: float
) -> dict[str, Any]:
    """``/api/metrics/v1``: the server and all running containers. *memory_limit* in bytes, *cpu_limit* in per cent; 0:
    none is shown."""
    total = add_up(stats)
    memory, cpu = own_memory + total.memory, own_cpu + total.cpu_percent
    limits: dict[str, Any] = {"memory": {"rss": memory_limit, "pss": memory_limit}}
    if memory_limit:
        limits["memory"]["warn"] = memory_limit - memory < memory_limit * _WARN
    if cpu_limit:
        limits["cpu"] = {"cpu": cpu_limit, "warn": cpu_limit - cpu < cpu_limit * _WARN}
    return {"rss": memory, "limits": limits, "cpu_percent": round(cpu, 2), "cpu_count": cpus}


def describe_kernel(
    stats: Stats, *, kernel_id: str, pid: int | None, host: dict[str, Any], host_cpu: float, cpus: int
) -> dict[str, Any]:
    """``/api/metrics/v1/kernel_usage/get_usage/KERNEL``: what ipykernel answers to a ``usage_request``, of the whole
    container and without asking the kernel, so that one at work answers too. *host*: its memory, as psutil has it."""
    return {
        "kernel_id": kernel_id,
        "content": {
            "hostname": stats.name,
            "pid": pid,
            "kernel_cpu": round(stats.cpu_percent, 2),
            "kernel_memory": stats.memory,
            "kernel_memory_limit": stats.memory_limit,
            "cpu_count": cpus,
            "host_cpu_percent": host_cpu,
            "host_virtual_memory": host,
            "host_usage_flag": True,
        },
    }
