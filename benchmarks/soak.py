"""Kernels started and ended in every way there is, again and again; then what is left of them is counted: nothing.

    python -m benchmarks.soak [--rounds 200] [--minutes 15] [--seed N]

Each round starts a kernel, afresh or as a fork, runs a cell in it, and ends it in one of the ways of ``WAYS``, drawn by
the seed. Before and after: processes, mounts, control groups, sockets, descriptors, threads, containers, leases, disk
and this process's memory. The exit status is 1 where something is left.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from .setup import HOME, Bench

TIMEOUT = 60.0
PATIENCE = 30.0
"""Seconds that what is removed after the fact may take: layers, control groups, a killed owner's containers."""
MEMORY_PER_ROUND = 64 << 10
"""Bytes by which this process may grow each round: jupyter_client's own managers and clients are part of it."""

OWNER = """
import os, signal, sys
from jupyter_client.manager import KernelManager
for _ in range(2):
    manager = KernelManager(kernel_name=sys.argv[1])
    manager.start_kernel(cwd=sys.argv[2])
    print(manager.provisioner.container.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Session:
    """A kernel and its client."""

    def __init__(self, kernel: str, folder: Path) -> None:
        from jupyter_client.manager import KernelManager

        self.manager = KernelManager(kernel_name=kernel)
        self.manager.start_kernel(cwd=str(folder))
        self.container = self.manager.provisioner.container
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT)

    def run(self, code: str) -> dict[str, Any]:
        return self.client.execute_interactive(code, timeout=TIMEOUT, output_hook=lambda message: None)["content"]

    def begin(self, code: str) -> str:
        """Have *code* run, and return once it does."""
        request: str = self.client.execute(code, stop_on_error=False)  # else what is sent right after it is refused
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT)
            if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == request:
                return request

    def close(self, *, now: bool = False) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=now)
        self.manager.context.destroy(linger=0)


def interrupt(session: Session) -> None:
    request = session.begin("print(1, flush=True)\nimport time; time.sleep(1000)")
    session.manager.interrupt_kernel()
    while (reply := session.client.get_shell_msg(timeout=TIMEOUT))["parent_header"]["msg_id"] != request:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt", reply["content"]
    assert session.run("1")["status"] == "ok"


def restart(session: Session) -> None:
    session.manager.restart_kernel(now=random.random() < 0.5)
    session.client.wait_for_ready(timeout=TIMEOUT)
    assert session.run("1")["status"] == "ok"


def kill(session: Session) -> None:
    session.container.kill()
    assert session.container.wait(TIMEOUT) == 128 + signal.SIGKILL


def crash(session: Session) -> None:
    session.client.execute("import os; os._exit(3)")
    assert session.container.wait(TIMEOUT) == 3


def run_out_of_memory(session: Session) -> None:
    session.container.update({"memory": float(session.container.stats().memory + (64 << 20))})
    session.client.execute("x = bytearray(512 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1")
    assert session.container.wait(TIMEOUT) == 128 + signal.SIGKILL
    assert session.container.state().oom, session.container.state()


def pause_and_end(session: Session) -> None:
    session.container.pause()


def pause_and_kill(session: Session) -> None:
    session.container.pause()
    session.container.kill()


def leave_processes(session: Session) -> None:
    code = "import subprocess\nfor _ in range(5): subprocess.Popen(['sleep', '1000'], start_new_session=True)"
    assert session.run(code)["status"] == "ok"


def exec_in_it(session: Session) -> None:
    command = session.container.exec_argv(["/bin/sh", "-c", "sleep 1000"])
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(0.1)
        session.container.kill()
        process.wait(TIMEOUT)


def write_much(session: Session) -> None:
    code = "import os\nfor n in range(200): open(os.path.expanduser(f'~/f{n}'), 'w').write('x' * 100_000)"
    assert session.run(code)["status"] == "ok"


def nothing(session: Session) -> None:
    pass


WAYS: tuple[Callable[[Session], None], ...] = (
    nothing, interrupt, restart, kill, crash, run_out_of_memory, pause_and_end, pause_and_kill, leave_processes,
    exec_in_it, write_much,
)  # fmt: skip


def killed_owner(kernel: str, folder: Path) -> list[str]:
    """Another process starts two kernels, and is killed with them."""
    done = subprocess.run(
        [sys.executable, "-c", OWNER, kernel, str(folder)], capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.split()


def detached(environment: str, bench: Bench) -> list[str]:
    """A container with a monitor, stopped and removed."""
    container = bench.cli("run", "-d", environment, "sleep", "1000").strip()
    bench.cli("stop", "-t", "0.1", container)
    bench.cli("rm", container)
    return [container]


def census(ids: set[str]) -> dict[str, int]:
    """What there is now, of this program."""
    from jupyter_containers.image.lease import leased_digests
    from jupyter_containers.paths import Paths
    from jupyter_containers.sandbox.cgroup import find_groups

    gc.collect()
    paths = Paths.current()
    me = psutil.Process()
    ours = {process.pid for process in me.children(recursive=True)}
    for process in psutil.process_iter(["cmdline"]):
        if any(str(HOME) in word for word in process.info["cmdline"] or ()) and process.pid != me.pid:
            ours.add(process.pid)
    mounts, places = Path("/proc/self/mountinfo").read_text().splitlines(), (str(HOME), str(paths.runtime))
    names = {f"jc-{container}" for container in ids}
    entries = [entry for entry in paths.containers.iterdir() if entry.name not in ("names", "reaper.log")]
    disk = sum(file.lstat().st_blocks * 512 for entry in entries for file in (entry, *entry.rglob("*")))
    return {
        "processes": len(ours),
        "mounts": sum(any(place in line for place in places) for line in mounts),
        "control groups": sum(group.name in names for group in find_groups("jc-")),
        "connection folders": len(list((paths.runtime / "k").glob("*"))),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": me.num_threads(),
        "containers": len(entries),
        "names": len(list((paths.containers / "names").glob("*"))),
        # A file of an owner that was killed goes with the next collection; it holds nothing.
        "leased images": len(leased_digests(paths.store / "leases", tidy=False)),
        "bytes of containers": disk,
        "memory": me.memory_info().rss,
    }


def settled(ids: set[str], before: dict[str, int]) -> dict[str, int]:
    """The census once it is what it was, or after a while."""
    deadline = time.monotonic() + PATIENCE
    while True:
        after = census(ids)
        if not worse(before, after, rounds=1 << 30) or time.monotonic() > deadline:
            return after
        time.sleep(0.5)


def worse(before: dict[str, int], after: dict[str, int], *, rounds: int) -> list[str]:
    """What there is more of than before. Pure."""
    allowed = {"memory": MEMORY_PER_ROUND * rounds}
    return [name for name in before if after[name] > before[name] + allowed.get(name, 0)]


def play(rounds: int, minutes: float, bench: Bench, draw: random.Random) -> Iterator[tuple[str, list[str]]]:
    """The rounds, each as what was done and the containers that it had."""
    environment = bench.environment("bench-soak", pip=["ipykernel"])
    kernels = (f"jc-{environment}", bench.warm_kernelspec(environment))
    folder = bench.folder("notebooks")
    deadline = time.monotonic() + 60 * minutes
    limits = can_limit_memory()
    ways = [way for way in WAYS if limits or way is not run_out_of_memory]
    for number in range(rounds):
        if time.monotonic() > deadline:
            print(f"{minutes:g} minutes are over: {number} rounds", flush=True)
            return
        kernel = kernels[number % 2]
        what = draw.choice([*ways, *ways, killed_owner, detached])
        if what is killed_owner:
            yield "killed_owner", killed_owner(kernel, folder)
        elif what is detached:
            yield "detached", detached(environment, bench)
        else:
            session = Session(kernel, folder)
            ids = [session.container.id]
            try:
                assert session.run("1 + 1")["status"] == "ok"
                what(session)
                ids.append(session.manager.provisioner.container.id)
            finally:
                session.close(now=draw.random() < 0.3)
            yield what.__name__, ids


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
    options = parser.parse_args()
    draw = random.Random(options.seed)
    ids: set[str] = set()
    done: Counter[str] = Counter()
    with Bench() as bench, tempfile.TemporaryDirectory(prefix="jc-", dir="/tmp") as runtime:  # short: sockets lie in it
        bench.env["JUPYTER_CONTAINERS_RUNTIME_DIR"] = runtime
        os.environ |= {key: bench.env[key] for key in bench.env if key.startswith("JUPYTER_")}
        # First what is made once and stays: the threads, the launcher, the processes to fork from.
        warm = random.Random(0)
        for _, found in play(2 * len(WAYS), options.minutes, bench, warm):
            ids.update(found)
        before = settled(ids, dict.fromkeys(census(set()), 1 << 60))
        start = time.monotonic()
        for what, found in play(options.rounds, options.minutes, bench, draw):
            ids.update(found)
            done[what] += 1
            if sum(done.values()) % 20 == 0:
                print(f"{sum(done.values())} rounds, {time.monotonic() - start:.0f} s", flush=True)
        after = settled(ids, before)
    rounds = sum(done.values())
    left = worse(before, after, rounds=rounds)
    print(
        f"{rounds} rounds in {time.monotonic() - start:.0f} s: " + ", ".join(f"{n} {w}" for w, n in done.most_common())
    )
    for name in before:
        print(f"{name:<20} {before[name]:>12} {after[name]:>12} {'LEFT' if name in left else ''}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
