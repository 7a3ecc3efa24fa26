"""A thousand kernels of one environment at once: memory, start time, idle processor time, disk against their number.

The kernels are forks (`warm`), with numpy and pandas preloaded, started by this process through jupyter_client. It
stops when less than 2 GiB of memory is left, ends all that it has started, and looks whether anything is left of it. A
server runs beside, with its page followed: what it costs to show them all is measured, too.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .crowd import Crowd, Processes, control_groups, free_memory, private_memory, too_small
from .measure import Row, seconds
from .plot import Curve, draw
from .setup import Bench
from .watching import Beside, ServerCost

ORDINARY = 1000
COUNT = int(os.environ.get("BENCH_KERNELS", str(ORDINARY)))
LEAST_FREE = 2 << 30
_POINTS = 20
_QUARTERS = 4
"""How often idle kernels are looked at."""
_SETTLE, _IDLE = 4.0, 8.0
"""Seconds before a look at what idle kernels take, for they are not idle at once, and of it."""
_LOOKS = 5
"""How often all are listed and measured at a look, for a median."""
_SHOWN = (100, 1000)
"""Numbers of kernels at which a server is looked at, besides none and all."""


@dataclass(frozen=True)
class Point:
    """What was found with so many kernels."""

    kernels: int
    memory: int
    """Bytes that the host has less than before the first."""
    private: int
    """Bytes of the newest kernel and its first process."""
    start: tuple[float, float, float]
    """Seconds to the first reply: p50, p95, p99 since the point before."""
    listing: float
    stats: float
    """Seconds to list and to measure all, by who does it again and again."""
    disk: int
    """Bytes of all containers' folders: their writable layers, and what is known of them."""
    client: int
    """Bytes of this process."""
    idle: float | None = None
    """Per cent of one core; None: not looked at."""
    delay: float | None = None
    """Seconds that the client's event loop was late at most."""


def rows(count: int = COUNT) -> Iterator[Row]:
    if problems := too_small(count):
        raise SystemExit("too small for this:\n" + "\n".join(f"  {problem}" for problem in problems))
    with Bench() as bench:
        name = bench.environment(
            "bench-kernel", pip=["ipykernel", "numpy", "pandas"], more='[kernel]\npreload = ["numpy", "pandas"]'
        )
        os.environ |= {key: bench.env[key] for key in ("JUPYTER_CONTAINERS_HOME", "JUPYTER_DATA_DIR")}
        run = asyncio.run(_run(name, bench.warm_kernelspec(name), bench.folder("notebooks"), count))
    if count >= ORDINARY:
        _draw(run.points, "thousand" if count == ORDINARY else f"thousand-{count}")
    yield from run.rows()


@dataclass
class _Run:
    points: list[Point]
    starts: list[float]
    first: list[float]
    """Start times of the first ones."""
    servers: list[ServerCost]
    image: int = 0
    """Bytes of the image on disk."""
    first_look: tuple[float, float] = (0.0, 0.0)
    """Seconds to list all, and to measure them, for the first time."""
    asked: float = 0.0
    ended: float = 0.0
    stopped: str = ""
    left: tuple[str, ...] = ()

    def rows(self) -> Iterator[Row]:
        last = self.points[-1]
        number = f"{last.kernels} kernels"

        def aim(text: str) -> str:
            """Aims are those of a thousand."""
            return text if last.kernels == ORDINARY else ""

        note = self.stopped or "each in a container of its own, numpy and pandas preloaded"
        each = last.memory / last.kernels
        yield Row(f"{number}: memory of the host", _size(last.memory), "", None, aim("≤ 8 GiB"), note)
        yield Row(f"{number}: memory of one", _size(int(each)), "", None, "", f"{_size(last.private)} private, ≤ 7 MiB")
        p50, p95, p99 = _percentiles(self.starts)
        throughput = f"{len(self.starts) / sum(self.starts):.1f} a second"
        yield Row(f"{number}: launch → first reply", f"{seconds(p50)}", "", None, "",
                  f"p95 {seconds(p95)}, p99 {seconds(p99)}; one after the other, {throughput}")  # fmt: skip
        early, late = statistics.median(self.first), last.start[0]
        yield Row(f"{number}: the last against the first", seconds(late), f"{seconds(early)} the first", late / early,
                  "≤ 1.5", f"medians of {len(self.first)}")  # fmt: skip
        yield Row(f"{number}: all answer a cell", seconds(self.asked), "", None, "")
        yield Row(f"{number}: idle", f"{last.idle:.1f} % of one core", "", None, aim("≤ 10 %"))
        listed, measured = map(seconds, self.first_look)
        yield Row(f"{number}: list them", seconds(last.listing), "", None, aim("≤ 50 ms"), f"{listed} the first time")
        yield Row(f"{number}: statistics of all", seconds(last.stats), "", None, aim("≤ 50 ms"),
                  f"{measured} the first time")  # fmt: skip
        yield Row(f"{number}: disk of image and writable layers", _size(self.image + last.disk),
                  f"{_size(self.image)} the image", (self.image + last.disk) / self.image, "≤ 1.05",
                  f"{_size(last.disk)} beside it, {last.disk / last.kernels / 1024:.0f} KiB each")  # fmt: skip
        late_by = f"; its event loop is {seconds(last.delay or 0)} late at most"
        yield Row(f"{number}: their client", _size(last.client), "", None, "", f"this process{late_by}")
        for cost in self.servers:
            yield Row(f"{number}: a server that shows {cost.kernels}", _size(cost.memory), "", None, "",
                      f"{cost.cpu:.1f} % of one core; a request is answered in {seconds(cost.answer)}, "
                      f"{seconds(cost.slowest)} at most")  # fmt: skip
        left = ", ".join(self.left) or "no process, container, socket or control group is left"
        yield Row(f"{number}: ended", seconds(self.ended), "", None, "", left)
        if self.left:
            raise SystemExit(f"left behind: {left}")


async def _run(environment: str, kernel: str, folder: Path, count: int) -> _Run:
    import zmq

    from jupyter_containers.environments import Environments
    from jupyter_containers.errors import ContainersError
    from jupyter_containers.runtime.warm import close_servers

    environments = Environments()
    before = _what_is_there(environments.paths.containers, environments.paths.runtime)
    found = _Run([], [], [], [], sum(map(_disk, environments.store.image(environment).layer_paths)))
    marks = {round(count * part / _POINTS) for part in range(1, _POINTS + 1)} | {count}
    quarters = {round(count * part / _QUARTERS) for part in range(1, _QUARTERS)} & marks
    pids: list[int] = []
    groups: set[Path] = set()
    async with Crowd(kernel, folder) as crowd:
        with Beside() as beside:
            await crowd.start()  # the process to fork from gets ready
            await crowd.end()
            found.servers.append(beside.cost(0))
            free = free_memory()
            while len(crowd.started) < count:
                if free_memory() < LEAST_FREE:
                    found.stopped = (
                        f"stopped: less than {_size(LEAST_FREE)} of the host's memory is left, more need more"
                    )
                    break
                try:
                    begun = await crowd.start()
                except (
                    ContainersError,
                    OSError,
                    RuntimeError,
                    zmq.ZMQError,
                ) as error:  # as jupyter_client and the threads' have it
                    if len(crowd.started) < 2:
                        raise
                    hint = getattr(error, "hint", "")
                    found.stopped = f"stopped, one more could not be started: {error}" + (f" ({hint})" if hint else "")
                    break
                found.starts.append(begun.seconds)
                pids += begun.pids
                groups |= control_groups(begun.pids[0])
                number = len(crowd.started)
                if number in marks:
                    found.points.append(_look(crowd, environments, found, free))
                    print(f"{number}: {_told(found.points[-1])}", flush=True)
                if number in quarters:
                    found.points[-1] = await _idle(found.points[-1], pids)
                if number in _SHOWN and number < count:
                    found.servers.append(beside.cost(number))
            found.points.append(_look(crowd, environments, found, free))
            found.first_look = _first_look()
            found.first = found.starts[: max(1, len(found.starts) // _POINTS)]
            found.asked = await crowd.ask_all()
            found.servers.append(beside.cost(len(crowd.started)))
        found.points[-1] = await _idle(found.points[-1], pids)
        found.ended = await crowd.end()
    close_servers()
    found.left = _left(before, pids, groups, environments)
    return found


def _look(crowd: Crowd, environments: object, found: _Run, free: int) -> Point:
    from jupyter_containers.environments import Environments

    assert isinstance(environments, Environments)
    recent = found.starts[found.points[-1].kernels if found.points else 0 :] or found.starts[-1:]
    listing = _timed(environments.containers)
    states = environments.containers()
    with environments.meter() as meter:
        meter.read(states)
        if len(meter.read(states)) != len(states):
            raise SystemExit("not all that run are measured")
        stats = _timed(lambda: meter.read(states))
    return Point(
        kernels=len(crowd.started), memory=free - free_memory(),
        private=sum(map(private_memory, crowd.started[-1].pids)), start=_percentiles(recent), listing=listing,
        stats=stats, disk=_disk(environments.paths.containers), client=private_memory(os.getpid()),
    )  # fmt: skip


def _timed(look: Callable[[], object]) -> float:
    """Seconds; the median, for others are at work beside."""
    times = []
    for _ in range(_LOOKS):
        begun = time.perf_counter()
        look()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _first_look() -> tuple[float, float]:
    """Seconds to list all, and to measure them, in a process that has never looked before."""
    done = subprocess.run([sys.executable, "-c", _LOOK], capture_output=True, text=True, check=True)
    listing, stats = map(float, done.stdout.split())
    return listing, stats


_LOOK = """
import time
from jupyter_containers.environments import Environments
environments = Environments()
with environments.meter() as meter:
    begun = time.perf_counter()
    states = environments.containers()
    listed = time.perf_counter()
    meter.read(states)
    print(listed - begun, time.perf_counter() - listed)
"""


async def _idle(point: Point, pids: Sequence[int]) -> Point:
    """*point*, with what the kernels and this process take when nothing is asked of them."""
    await asyncio.sleep(_SETTLE)
    idle = Processes([*pids, os.getpid()])
    delay = await _delay(_IDLE)
    return Point(**asdict(point) | {"idle": idle.share()[0], "delay": delay})


async def _delay(span: float) -> float:
    worst, until = 0.0, time.monotonic() + span
    while time.monotonic() < until:
        begun = time.monotonic()
        await asyncio.sleep(0.5)
        worst = max(worst, time.monotonic() - begun - 0.5)
    return worst


def _percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    return tuple(ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.95, 0.99))  # type: ignore[return-value]


def _disk(folder: Path) -> int:
    done = subprocess.run(["du", "-s", "--block-size=1", str(folder)], capture_output=True, text=True)
    return int(done.stdout.split()[0])


def _size(value: int) -> str:
    return f"{value / (1 << 30):.2f} GiB" if value >= 1 << 30 else f"{value / (1 << 20):.1f} MiB"


def _told(point: Point) -> str:
    return (
        f"{_size(point.memory)}, {_size(point.private)} private, start {seconds(point.start[0])}, list "
        f"{seconds(point.listing)}, statistics {seconds(point.stats)}"
    )


def _what_is_there(containers: Path, runtime: Path) -> set[str]:
    return {
        str(path)
        for place in (containers, runtime / "k")
        if place.exists()
        for path in place.iterdir()
        if path.name not in ("reaper.log", "names")
    }


def _left(before: set[str], pids: Sequence[int], groups: set[Path], environments: object) -> tuple[str, ...]:
    from jupyter_containers.environments import Environments

    assert isinstance(environments, Environments)
    deadline = time.monotonic() + 20  # what is removed is out of sight first, and gone a moment later
    while True:
        now = _what_is_there(environments.paths.containers, environments.paths.runtime)
        found = [f"process {pid}" for pid in pids if Path(f"/proc/{pid}").exists()] + sorted(now - before)
        found += [str(group) for group in groups if group.exists()]
        if not found or time.monotonic() > deadline:
            return tuple(found)
        time.sleep(0.2)


def _draw(points: Sequence[Point], name: str) -> None:
    across = [point.kernels for point in points]
    looked = [point for point in points if point.idle is not None]

    def curve(title: str, unit: str, values: Sequence[float]) -> Curve:
        return Curve(title, "kernels", unit, across, values)

    draw(name, [
        curve("memory of the host", "GiB", [point.memory / (1 << 30) for point in points]),
        curve("start, median", "ms", [point.start[0] * 1000 for point in points]),
        curve("start, p99", "ms", [point.start[2] * 1000 for point in points]),
        Curve("idle", "kernels", "% of one core", [point.kernels for point in looked],
              [point.idle or 0.0 for point in looked]),
        curve("list of all", "ms", [point.listing * 1000 for point in points]),
        curve("statistics of all", "ms", [point.stats * 1000 for point in points]),
        curve("disk beside the image", "MiB", [point.disk / (1 << 20) for point in points]),
    ])  # fmt: skip
