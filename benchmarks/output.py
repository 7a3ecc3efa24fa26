"""Much output: 1 MB and 100 MB from a kernel to its client, in a container against outside.

As one result to display, as one text that is printed, and as lines of a hundred bytes that are printed one by one. The
clock stops when the client has read all of it and the kernel is idle. Both kernels live at the same time; the peaks of
memory are the kernels' own, above what they had before, as the host's kernel counts them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .kernels import pair
from .measure import Row, compare
from .round_trip import await_idle, await_reply
from .setup import Bench

RUNS = int(os.environ.get("BENCH_OUTPUT_RUNS", "7"))
WITHIN = 60.0
"""Seconds of one question after which no further pair is begun."""
MB = 10**6
WAYS = (
    ("one `display_data`", "display({{'text/plain': 'x' * {size}}}, raw=True)"),
    ("one `print`", "print('x' * {size})"),
    ("`print` of lines of 100 bytes", "for _ in range({size} // 100): print('x' * 99)"),
)
PEAK = """\
def peak(reset=False):
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    if reset:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    return int(lines["VmRSS" if reset else "VmHWM"].split()[0]) / 1024
"""
"""Megabytes that the kernel has at most had since the last reset (proc(5))."""


def rows() -> Iterator[Row]:
    with Bench() as bench, pair(bench) as (ours, native):
        for client in (ours, native):
            await_reply(client, client.execute(PEAK))
        for size in (MB, 100 * MB):
            for way, code in WAYS:
                cell = code.format(size=size)
                memory: dict[str, list[float]] = {"ours": [], "native": []}

                def timed(name: str, client: Any, cell: str = cell, memory: Any = memory) -> float:
                    before = float(ask(client, "peak(reset=True)"))
                    took = output(client, cell)
                    memory[name].append(float(ask(client, "peak()")) - before)
                    return took

                row = compare(
                    f"{size // MB} MB of output: {way}", lambda timed=timed: timed("ours", ours),
                    lambda timed=timed: timed("native", native), peer_name="native, TCP",
                    runs=RUNS if size > MB else 3 * RUNS, within=WITHIN, aim="≤ 1.05",
                )  # fmt: skip
                mine, theirs = (max(memory[name]) for name in ("ours", "native"))
                yield replace(row, note=f"{row.note}; the kernel's peak {mine:.0f} MiB, native {theirs:.0f} MiB")


def output(client: Any, cell: str) -> float:
    """Seconds from the cell's sending until its client has all of its output."""
    start = time.perf_counter()
    request = client.execute(cell)
    await_idle(client, request)
    took = time.perf_counter() - start
    await_reply(client, request)
    return took


def ask(client: Any, expression: str) -> str:
    """The value of *expression*, as text."""
    request = client.execute("", user_expressions={"value": expression})
    answer = await_reply(client, request)
    await_idle(client, request)
    value: dict[str, Any] = answer["content"]["user_expressions"].get("value", {})
    return str(value.get("data", {}).get("text/plain", ""))
