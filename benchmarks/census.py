"""What there is of this program on the host, counted: of a home, of this process, and of a server."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from .served import Server
from .setup import HOME

if TYPE_CHECKING:
    from jupyter_containers.paths import Paths

__all__ = ["Counts", "remaining", "settled", "stable", "take_census", "worse"]

Counts = dict[str, int]

PATIENCE = 30.0
"""Seconds that what is removed after the fact may take: layers, control groups, a killed owner's containers."""
LONGEST = 90.0
"""Seconds until what a process was killed at counts as left, and goes when the next looks for it."""
MEMORY, MEMORY_PER_ROUND = 8 << 20, 64 << 10
"""Bytes by which a process may grow, and each round: jupyter_client's own managers and clients are part of it."""
WORKERS = 8
"""Threads that end containers: a process starts as many as are at work at once, and keeps them."""


def take_census(server: Server, containers: Collection[str]) -> Counts:
    """What there is now. *containers*: those that there have been."""
    from jupyter_containers.image.lease import leased_digests
    from jupyter_containers.paths import Paths
    from jupyter_containers.sandbox.cgroup import find_groups

    gc.collect()
    paths = Paths.current()
    me, other = psutil.Process(), psutil.Process(server.process.pid)
    ours = {process.pid for process in me.children(recursive=True)}
    for process in psutil.process_iter(["cmdline"]):
        if any(str(HOME) in word for word in process.info["cmdline"] or ()) and process.pid != me.pid:
            ours.add(process.pid)
    mounts, places = Path("/proc/self/mountinfo").read_text().splitlines(), (str(HOME), str(paths.runtime))
    names = {f"jc-{container}" for container in containers}
    entries = _containers(paths)
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    found = {
        "processes": len(ours),
        "mounts": sum(any(place in line for place in places) for line in mounts),
        "control groups": sum(group.name in names for group in find_groups("jc-")),
        "connection folders": len(list((paths.runtime / "k").glob("*"))),
        "runtime files": sum(1 for _ in paths.runtime.rglob("*")),
        "connection files": len(list(server.runtime.glob("kernel-*"))),
        "locks": sum(int(line[4]) in {me.pid, other.pid} for line in locks if line[1] != "->"),
        "containers": len(entries),
        "names": len(list((paths.containers / "names").glob("*"))),
        # A file of an owner that was killed goes with the next collection; it holds nothing.
        "leased images": len(leased_digests(paths.store / "leases", tidy=False)),
        "bytes of containers": sum(size(file) for each in entries for file in walk(each)),
        "bytes of the home": sum(size(file) for file in walk(HOME) if lasts(file)),
    }
    for name, process in (("own", me), ("server's", other)):
        found |= {
            f"{name} descriptors": sum(1 for _ in _open_files(process.pid)),
            f"{name} sockets": len(process.net_connections("all")),
            f"{name} threads": process.num_threads(),
            f"{name} memory": process.memory_info().rss,
        }
    return found


def _open_files(pid: int) -> Iterator[str]:
    """Where the descriptors of process *pid* lead, but for those by which containers that are there are measured: a
    container that was there before may have been measured since."""
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed since
            target = os.readlink(handle)
            if not (target.startswith("/sys/fs/cgroup/") and Path(target).exists()):
                yield target


def stable(count: Callable[[], Counts]) -> Counts:
    """What *count* gives once nothing has become less for a while: what is removed after the fact is gone."""
    deadline, least, same = time.monotonic() + PATIENCE, count(), 0
    while same < 4 and time.monotonic() < deadline:
        time.sleep(0.5)
        now = count()
        same = 0 if any(now[name] < least[name] for name in now if "memory" not in name) else same + 1
        least = now
    return least


def settled(count: Callable[[], Counts], before: Counts) -> Counts:
    """What *count* gives once it is what it was *before*, or after a while."""
    from jupyter_containers.environments import Environments

    deadline = time.monotonic() + LONGEST
    while True:
        Environments().reap()  # as every server does when it starts
        after = count()
        if not worse(before, after, rounds=1 << 30) or time.monotonic() > deadline:
            return after
        time.sleep(0.5)


def remaining() -> int:
    """How many containers there are of this home where there should be none any more; they may take a while."""
    from jupyter_containers.paths import Paths

    deadline = time.monotonic() + PATIENCE
    while (left := _containers(Paths.current())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return len(left)


def _containers(paths: Paths) -> list[Path]:
    return [entry for entry in paths.containers.iterdir() if entry.name not in ("names", "reaper.log")]


def worse(before: Counts, after: Counts, *, rounds: int) -> list[str]:
    """What there is more of than before. Pure."""
    memory = MEMORY + MEMORY_PER_ROUND * rounds
    allowed = {f"{name} memory": memory for name in ("own", "server's")}
    allowed |= {f"{name} threads": WORKERS for name in ("own", "server's")}
    return [name for name in before if after[name] > before[name] + allowed.get(name, 0)]


def size(file: Path) -> int:
    try:
        return file.lstat().st_blocks * 512
    except FileNotFoundError:
        return 0  # removed meanwhile


def walk(folder: Path) -> Iterator[Path]:
    for place, _, files in os.walk(folder):
        yield from (Path(place), *(Path(place, name) for name in files))


def lasts(file: Path) -> bool:
    """Whether it is of the program: logs and histories grow as they should."""
    return file.suffix not in (".log", ".jsonl") and file.name != "history.sqlite"
