"""Kernels started and ended in every way there is, again and again; then what is left of them is counted: nothing.

    python -m benchmarks.soak [--rounds 200] [--minutes 15] [--seed N]

Each round starts a kernel, afresh, as a fork or of the pool, by this process or by a server, runs a cell in it, and
ends it in one of the ways of :mod:`.soaking`, drawn by the seed; other rounds have owners and servers of their own that
end or are killed. Before and after are counted (:mod:`.census`): processes, mounts, control groups, sockets,
containers, leases, locks, disk, and this process's and the server's descriptors, threads and memory. The exit status is
1 where something is left. Each run is noted in the benchmarks' home; `python -m benchmarks soak` sums them up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from .census import PATIENCE, Counts, remaining, settled, stable, take_census, worse
from .measure import Row
from .served import ServedKernel, Server, stop
from .setup import HOME, Bench
from .soaking import (
    ELSEWHERE,
    SERVED,
    WAYS,
    Kernels,
    OwnKernel,
    check,
    kept_ready,
    nothing,
    run_out_of_memory,
    started_as,
)

ROUNDS = int(os.environ.get("BENCH_KERNELS", "200"))
TALLY = HOME / "results" / "soak.jsonl"
"""A line for each run."""


class Round(NamedTuple):
    what: str
    start: str
    containers: list[str]


@dataclass(frozen=True)
class Run:
    """What a run has come to."""

    rounds: int
    seconds: float
    done: dict[str, int]
    left: list[str]
    """What there is more of than before."""
    root: bool = field(default_factory=lambda: os.geteuid() == 0)
    when: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")


class Soak:
    """The rounds, and what there is of them."""

    def __init__(self, bench: Bench, server: Server, kernels: Kernels) -> None:
        self.bench, self.server, self.kernels = bench, server, kernels
        self.folder = server.root
        self.containers: set[str] = set()
        self.done: Counter[str] = Counter()
        limits = can_limit_memory()
        self._ways = [way for way in WAYS if limits or way is not run_out_of_memory]

    def play(self, rounds: int, minutes: float, draw: random.Random) -> None:
        start = time.monotonic()
        for number in range(rounds):
            if time.monotonic() - start > 60 * minutes:
                print(f"{minutes:g} minutes are over", flush=True)
                return
            what, kind, found = self._round(number, draw)
            self.containers.update(found)
            self.done[f"{what} ({kind})"] += 1
            if number % 20 == 19:
                print(f"{number + 1} rounds, {time.monotonic() - start:.0f} s", flush=True)

    def _round(self, number: int, draw: random.Random) -> Round:
        if draw.random() < 0.12:
            round = draw.choice(ELSEWHERE)
            with told(f"round {number}: {round.__name__}"):
                return Round(round.__name__, "elsewhere", round(self.kernels, self.folder, self.bench))
        kernel = self.kernels[number % len(self.kernels)]
        served = draw.random() < 0.5
        way = draw.choice([*self._ways, *(SERVED if served else ())])
        with told(f"round {number}: {way.__name__}, {kernel}, {'served' if served else 'own'}"):
            start, containers = self._use(kernel, way, served=served, now=draw.random() < 0.3)
        return Round(way.__name__, f"{start}, {'served' if served else 'own'}", containers)

    def _use(self, kernel: str, way: Callable[..., None], *, served: bool, now: bool) -> tuple[str, list[str]]:
        """How it was started, and the containers that there were."""
        session = ServedKernel(self.server, kernel) if served else OwnKernel(kernel, self.folder)
        ids = [session.container.id]
        try:
            start = started_as(session)
            check(session)
            way(session)
            if session.container is not None:
                ids.append(session.container.id)
        finally:
            session.close(now=now)
        return start, ids

    def get_ready(self) -> None:
        """Have there be what is made once and stays, such as the processes to fork from: a round may have killed it."""
        from jupyter_containers.environments import Environments

        for kernel in self.kernels:
            for served in (False, True):
                self._use(kernel, nothing, served=served, now=False)
        Environments().reap()  # as the next start of a server would: what nobody has missed yet goes
        deadline = time.monotonic() + PATIENCE
        for owner in (os.getpid(), self.server.process.pid):
            while len(kept_ready("pooled", owner)) < 2 and time.monotonic() < deadline:
                time.sleep(0.1)  # a fork and another

    def census(self) -> Counts:
        return take_census(self.server, self.containers)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Says what it was that failed."""
    try:
        yield
    except BaseException:
        print(what, flush=True)
        raise


def can_limit_memory() -> bool:
    from jupyter_containers.errors import LimitError
    from jupyter_containers.sandbox.cgroup import check_limits
    from jupyter_containers.sandbox.model import Limits

    try:
        check_limits(Limits(memory=1 << 30))
    except LimitError:
        return False
    return True


def soak(rounds: int, *, minutes: float, seed: int, before: int, environment: str = "") -> Run:
    """Play, tell of it, and note it."""
    from jupyter_containers.runtime.warm import close_servers

    with Bench() as bench, tempfile.TemporaryDirectory(prefix="jc-", dir="/tmp") as runtime:  # short: sockets lie in it
        bench.env["JUPYTER_CONTAINERS_RUNTIME_DIR"] = runtime
        os.environ |= {key: bench.env[key] for key in bench.env if key.startswith("JUPYTER_")}
        name = environment or bench.environment("bench-soak", pip=["ipykernel"])
        kernels = Kernels(f"jc-{name}", bench.warm_kernelspec(name), bench.warm_kernelspec(name, isolate=True))
        server = Server(bench.folder("notebooks"), bench.folder("server"), bench.env)
        try:
            it = Soak(bench, server, kernels)
            # First what is made once and stays: the threads, the launcher, the processes to fork from.
            it.play(before, minutes, random.Random(0))
            it.get_ready()
            first = stable(it.census)
            it.done.clear()
            start = time.monotonic()
            it.play(rounds, minutes, random.Random(seed))
            it.get_ready()
            last = settled(it.census, first)
        except BaseException:
            print((server.folder / "log").read_text()[-5000:], file=sys.stderr)
            raise
        finally:
            stop(server)
        close_servers()
        at_last = remaining()
    played = sum(it.done.values())
    left = worse(first, last, rounds=played) + [f"{number} containers at the end" for number in [at_last] if number]
    run = Run(played, time.monotonic() - start, dict(it.done), left)
    _tell(run, first, last)
    TALLY.parent.mkdir(parents=True, exist_ok=True)
    with TALLY.open("a") as file:
        file.write(json.dumps(asdict(run)) + "\n")
    return run


def _tell(run: Run, first: Counts, last: Counts) -> None:
    print(f"{run.rounds} rounds in {run.seconds:.0f} s:")
    for what, count in sorted(run.done.items()):
        print(f"    {what:<45} {count:>5}")
    for name in first:
        print(f"{name:<22} {first[name]:>12} {last[name]:>12} {'LEFT' if name in run.left else ''}")
    print(f"left: {', '.join(run.left) or 'nothing'}")


def rows() -> Iterator[Row]:
    """One more run, and the sum of all that are noted. Delete :data:`TALLY` to begin anew."""
    soak(ROUNDS, minutes=60.0, seed=random.randrange(1 << 16), before=40)
    yield from summed([Run(**json.loads(line)) for line in TALLY.read_text().splitlines()])


def summed(runs: Sequence[Run]) -> Iterator[Row]:
    """What *runs* have come to together. Pure."""
    total, ordinary = sum(run.rounds for run in runs), sum(run.rounds for run in runs if not run.root)
    ways = {what.partition(" (")[0] for run in runs for what in run.done}
    left = sorted({name for run in runs for name in run.left})
    runs_of = f"{len(runs)} runs, {ordinary} rounds of them as an ordinary user" if ordinary else f"{len(runs)} runs"
    yield Row(
        f"{total} kernels started and ended in {len(ways)} ways: what is left",
        ", ".join(left) or "nothing",
        "",
        None,
        "nothing",
        f"{runs_of}; counted: processes, mounts, control groups, sockets, descriptors, locks, containers, disk, memory",
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--minutes", type=float, default=15.0, help="the most that it takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--before", type=int, default=40, help="rounds before the first count")
    parser.add_argument("--environment", default="", help="one of the benchmarks' home, in place of one of its own")
    return 1 if soak(**vars(parser.parse_args())).left else 0


if __name__ == "__main__":
    sys.exit(main())
