"""Kernels started and ended in every way there is, again and again; then what is left of them is counted: nothing.

    python -m benchmarks.soak [--rounds 200] [--minutes 15] [--seed N]

Each round starts a kernel, afresh or as a fork, by this process or by a server, runs a cell in it, and ends it in one
of the ways of :mod:`.soaking`, drawn by the seed; other rounds have owners and servers of their own that end or are
killed. Before and after are counted: processes, mounts, control groups, sockets, containers, leases, locks, disk, and
this process's and the server's descriptors, threads and memory. The exit status is 1 where something is left.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from .served import ServedKernel, Server, stop
from .setup import HOME, Bench
from .soaking import ELSEWHERE, SERVED, WAYS, OwnKernel, check, nothing, run_out_of_memory

PATIENCE = 30.0
"""Seconds that what is removed after the fact may take: layers, control groups, a killed owner's containers."""
MEMORY_PER_ROUND = 64 << 10
"""Bytes by which a process may grow each round: jupyter_client's own managers and clients are part of it."""
WORKERS = 8
"""Threads that end containers: a process starts as many as are at work at once, and keeps them."""


class Round(NamedTuple):
    what: str
    start: str
    containers: list[str]


class Soak:
    """The rounds, and what there is of them."""

    def __init__(self, bench: Bench, server: Server, kernels: tuple[str, str]) -> None:
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
            return Round(round.__name__, "elsewhere", round(self.kernels, self.folder, self.bench))
        kernel = self.kernels[number % 2]
        served = draw.random() < 0.5
        way = draw.choice([*self._ways, *(SERVED if served else ())])
        start = "fork" if number % 2 else "fresh"
        try:
            containers = self._use(kernel, way, served=served, now=draw.random() < 0.3)
        except BaseException:
            print(f"round {number}: {way.__name__}, {start}, {'served' if served else 'own'}", flush=True)
            raise
        return Round(way.__name__, f"{start}, {'served' if served else 'own'}", containers)

    def _use(self, kernel: str, way: Callable[..., None], *, served: bool, now: bool) -> list[str]:
        session = ServedKernel(self.server, kernel) if served else OwnKernel(kernel, self.folder)
        ids = [session.container.id]
        try:
            check(session)
            way(session)
            if session.container is not None:
                ids.append(session.container.id)
        finally:
            session.close(now=now)
        return ids

    def get_ready(self) -> None:
        """Have there be what is made once and stays, such as the processes to fork from: a round may have killed it."""
        from jupyter_containers.environments import Environments

        for kernel in self.kernels:
            for served in (False, True):
                self._use(kernel, nothing, served=served, now=False)
        Environments().reap()  # as the next start of a server would: what nobody has missed yet goes

    def census(self) -> dict[str, int]:
        """What there is now, of this program."""
        from jupyter_containers.image.lease import leased_digests
        from jupyter_containers.paths import Paths
        from jupyter_containers.sandbox.cgroup import find_groups

        gc.collect()
        paths = Paths.current()
        me, server = psutil.Process(), psutil.Process(self.server.process.pid)
        ours = {process.pid for process in me.children(recursive=True)}
        for process in psutil.process_iter(["cmdline"]):
            if any(str(HOME) in word for word in process.info["cmdline"] or ()) and process.pid != me.pid:
                ours.add(process.pid)
        mounts, places = Path("/proc/self/mountinfo").read_text().splitlines(), (str(HOME), str(paths.runtime))
        names = {f"jc-{container}" for container in self.containers}
        entries = [entry for entry in paths.containers.iterdir() if entry.name not in ("names", "reaper.log")]
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        found = {
            "processes": len(ours),
            "mounts": sum(any(place in line for place in places) for line in mounts),
            "control groups": sum(group.name in names for group in find_groups("jc-")),
            "connection folders": len(list((paths.runtime / "k").glob("*"))),
            "runtime files": sum(1 for _ in paths.runtime.rglob("*")),
            "connection files": len(list(self.server.runtime.glob("kernel-*"))),
            "locks": sum(int(line[4]) in {me.pid, server.pid} for line in locks if line[1] != "->"),
            "containers": len(entries),
            "names": len(list((paths.containers / "names").glob("*"))),
            # A file of an owner that was killed goes with the next collection; it holds nothing.
            "leased images": len(leased_digests(paths.store / "leases", tidy=False)),
            "bytes of containers": sum(file.lstat().st_blocks * 512 for each in entries for file in walk(each)),
            "bytes of the home": sum(file.lstat().st_blocks * 512 for file in walk(HOME) if lasts(file)),
        }
        for name, process in (("own", me), ("server's", server)):
            found |= {
                f"{name} descriptors": process.num_fds(),
                f"{name} sockets": len(process.net_connections("all")),
                f"{name} threads": process.num_threads(),
                f"{name} memory": process.memory_info().rss,
            }
        return found

    def stable(self) -> dict[str, int]:
        """The census once nothing has become less for a while: what is removed after the fact is gone."""
        deadline, least, same = time.monotonic() + PATIENCE, self.census(), 0
        while same < 4 and time.monotonic() < deadline:
            time.sleep(0.5)
            now = self.census()
            same = 0 if any(now[name] < least[name] for name in now if "memory" not in name) else same + 1
            least = now
        return least

    def settled(self, before: dict[str, int]) -> dict[str, int]:
        """The census once it is what it was, or after a while."""
        deadline = time.monotonic() + PATIENCE
        while True:
            after = self.census()
            if not worse(before, after, rounds=1 << 30) or time.monotonic() > deadline:
                return after
            time.sleep(0.5)


def walk(folder: Path) -> Iterator[Path]:
    for place, _, files in os.walk(folder):
        for file in (Path(place), *(Path(place, name) for name in files)):
            if os.path.lexists(file):  # not removed meanwhile
                yield file


def lasts(file: Path) -> bool:
    """Whether it is of the program: logs and histories grow as they should."""
    return file.suffix != ".log" and file.name != "history.sqlite"


def worse(before: dict[str, int], after: dict[str, int], *, rounds: int) -> list[str]:
    """What there is more of than before. Pure."""
    memory = MEMORY_PER_ROUND * rounds
    allowed = {f"{name} memory": memory for name in ("own", "server's")}
    allowed |= {f"{name} threads": WORKERS for name in ("own", "server's")}
    return [name for name in before if after[name] > before[name] + allowed.get(name, 0)]


def can_limit_memory() -> bool:
    from jupyter_containers.errors import LimitError
    from jupyter_containers.sandbox.cgroup import check_limits
    from jupyter_containers.sandbox.model import Limits

    try:
        check_limits(Limits(memory=1 << 30))
    except LimitError:
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=15.0, help="the most that it takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--before", type=int, default=40, help="rounds before the first count")
    options = parser.parse_args()
    with Bench() as bench, tempfile.TemporaryDirectory(prefix="jc-", dir="/tmp") as runtime:  # short: sockets lie in it
        bench.env["JUPYTER_CONTAINERS_RUNTIME_DIR"] = runtime
        os.environ |= {key: bench.env[key] for key in bench.env if key.startswith("JUPYTER_")}
        environment = bench.environment("bench-soak", pip=["ipykernel"])
        kernels = (f"jc-{environment}", bench.warm_kernelspec(environment))
        server = Server(bench.folder("notebooks"), bench.folder("server"), bench.env)
        try:
            soak = Soak(bench, server, kernels)
            # First what is made once and stays: the threads, the launcher, the processes to fork from.
            soak.play(options.before, options.minutes, random.Random(0))
            soak.get_ready()
            before = soak.stable()
            soak.done.clear()
            start = time.monotonic()
            soak.play(options.rounds, options.minutes, random.Random(options.seed))
            soak.get_ready()
            after = soak.settled(before)
        except BaseException:
            print((server.folder / "log").read_text()[-5000:], file=sys.stderr)
            raise
        finally:
            stop(server)
    rounds = sum(soak.done.values())
    left = worse(before, after, rounds=rounds)
    print(f"{rounds} rounds in {time.monotonic() - start:.0f} s:")
    for what, count in sorted(soak.done.items()):
        print(f"    {what:<45} {count:>5}")
    for name in before:
        print(f"{name:<22} {before[name]:>12} {after[name]:>12} {'LEFT' if name in left else ''}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
