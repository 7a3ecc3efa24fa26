"""A running kernel: how soon it replies to a small cell, in a container against outside.

The container's kernel speaks over Unix sockets, the native one over TCP, as each does by default. Both live at the same
time and are asked in turns, so that each pair has seen the same machine.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

from .kernels import pair
from .measure import Row, seconds
from .setup import Bench

CELLS = int(os.environ.get("BENCH_CELLS", "500"))
WARMUP = 100


def rows() -> Iterator[Row]:
    with Bench() as bench, pair(bench) as (ours, native):
        for title, trip in (("the reply", reply), ("reply and idle", reply_and_idle)):
            times = [(trip(ours), trip(native)) for _ in range(WARMUP + CELLS)][WARMUP:]
            for name, per_cent in (("p50", 50), ("p95", 95)):
                mine, theirs = (percentile([each[side] for each in times], per_cent) for side in (0, 1))
                yield Row(
                    f"kernel: `1` → {title}, {name}", seconds(mine), f"{seconds(theirs)} native, TCP", mine / theirs,
                    "≤ 1.0", f"{CELLS} cells each, in turns",
                )  # fmt: skip


def reply(client: Any) -> float:
    """Seconds from a cell's sending to its reply; what it says on iopub is read after that."""
    start = time.perf_counter()
    request = client.execute("1")
    await_reply(client, request)
    took = time.perf_counter() - start
    await_idle(client, request)
    return took


def reply_and_idle(client: Any) -> float:
    """Seconds from a cell's sending until its result has come and the kernel is idle again, as a notebook shows it."""
    start = time.perf_counter()
    request = client.execute("1")
    await_idle(client, request)
    await_reply(client, request)
    return time.perf_counter() - start


def await_reply(client: Any, request: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = client.get_shell_msg(timeout=60)
        if message["parent_header"].get("msg_id") == request:
            if message["content"]["status"] != "ok":
                raise SystemExit(f"the cell failed: {message['content']}")
            return message


def await_idle(client: Any, request: str) -> int:
    """Read what the cell says on iopub, until it is done; the number of messages."""
    count = 0
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != request:
            continue
        count += 1
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return count


def percentile(values: list[float], per_cent: int) -> float:
    return statistics.quantiles(values, n=100)[per_cent - 1]
