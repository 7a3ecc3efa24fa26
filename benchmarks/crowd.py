"""Many kernels of one environment, started through jupyter_client by one client, and what they cost the host."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Crowd", "Processes", "control_groups", "free_memory", "private_memory", "too_small"]

_TICK = os.sysconf("SC_CLK_TCK")
_FILES, _THREADS = 7, 12
"""What a kernel takes of the limits: descriptors of its client (two are jupyter_client's control socket), and threads
in all, rounded up."""


@dataclass(frozen=True)
class Started:
    manager: Any
    seconds: float
    """From its launch to the reply to its first cell."""
    host: str
    """As the cell found it in the container."""
    pids: tuple[int, ...]
    """The container's first process, and the kernel."""


class Crowd:
    """Starts kernels, one after the other, and ends them all. For one event loop."""

    def __init__(self, kernel: str, folder: Path) -> None:
        import zmq
        import zmq.asyncio

        self.kernel, self._folder = kernel, folder
        self._context = zmq.asyncio.Context()  # of all, as a server has it: each has threads of its own
        self._context.set(zmq.MAX_SOCKETS, self._context.get(zmq.SOCKET_LIMIT))  # as our extension does
        self.started: list[Started] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    async def start(self) -> Started:
        from jupyter_client.manager import AsyncKernelManager

        from jupyter_containers.runtime.processes import find_main

        begun = time.perf_counter()
        manager = AsyncKernelManager(kernel_name=self.kernel, context=self._context)
        await manager.start_kernel(cwd=str(self._folder))
        host = await ask(manager)
        seconds = time.perf_counter() - begun
        state = manager.provisioner.container.state()
        if state.start != "fork":
            raise SystemExit(f"kernel {len(self.started) + 1} is no fork: {state.start}")
        main = find_main(state.pid)
        assert main is not None
        self.started.append(Started(manager, seconds, host, (state.pid, main.pid)))
        return self.started[-1]

    async def ask_all(self, *, at_once: int = 100) -> float:
        """Have every kernel answer a cell; the seconds that all took. Each must be in a container of its own."""
        begun = time.perf_counter()
        hosts = await _each((lambda one=one: ask(one.manager) for one in self.started), at_once)
        if len(set(hosts)) != len(self.started):
            raise SystemExit(f"{len(self.started)} kernels are in {len(set(hosts))} containers")
        return time.perf_counter() - begun

    async def end(self) -> float:
        """Shut all down; the seconds that it took."""
        begun = time.perf_counter()
        started, self.started = self.started, []
        await _each((lambda one=one: one.manager.shutdown_kernel(now=True) for one in started), 16)
        return time.perf_counter() - begun


async def ask(manager: Any) -> str:
    """What the kernel's host is called, from the reply to a cell."""
    client = manager.client()
    client.start_channels(iopub=False, stdin=False, hb=False, control=False)
    try:
        request = client.execute("1 + 1", user_expressions={"host": "__import__('socket').gethostname()"})
        while True:
            reply = await client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == request:
                break
    finally:
        client.stop_channels()
    return str(reply["content"]["user_expressions"]["host"]["data"]["text/plain"])


async def _each(calls: Iterable[Callable[[], Awaitable[Any]]], at_once: int) -> list[Any]:
    gate = asyncio.Semaphore(at_once)

    async def one(call: Callable[[], Awaitable[Any]]) -> Any:
        async with gate:
            return await call()

    return await asyncio.gather(*(one(call) for call in calls))


class Processes:
    """The processor time of some processes, and of the host, between two looks."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._at = time.monotonic()
        self._used, self._busy = self._ticks(), _busy()

    def share(self) -> tuple[float, float]:
        """Per cent of one core since the start: of the processes together, and of all that the host did."""
        span = (time.monotonic() - self._at) * _TICK
        return 100 * (self._ticks() - self._used) / span, 100 * (_busy() - self._busy) / span

    def _ticks(self) -> int:
        total = 0
        for pid in self._pids:
            try:
                words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += int(words[11]) + int(words[12])
        return total


def _busy() -> int:
    words = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return sum(words[:3]) + sum(words[5:8])  # all but idle and iowait


def control_groups(pid: int) -> set[Path]:
    """The folders of the container's own that process *pid* is in."""
    found = set()
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controller, path = line.split(":", 2)
        if "jupyter-containers" in path:
            found.add(Path("/sys/fs/cgroup", controller, path.lstrip("/")))
    return {path for path in found if path.is_dir()}


def free_memory() -> int:
    """Bytes that programs can still have."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    raise SystemExit("/proc/meminfo does not tell what is available")


def private_memory(pid: int) -> int:
    """Bytes that the process shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def too_small(count: int) -> list[str]:
    """Which limits of this host, and of this user, *count* kernels don't fit in, and what to raise."""
    files, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < hard:  # a process may raise its own up to the hard one
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = [
        ("open files of a process", hard, count * _FILES + 256, "ulimit -Hn, or LimitNOFILE= of the service"),
        ("numbers for processes", _number("kernel/pid_max"), count * _THREADS + 2000, "sysctl kernel.pid_max"),
        ("threads", _number("kernel/threads-max"), count * _THREADS + 2000, "sysctl kernel.threads-max"),
        ("user namespaces", _number("user/max_user_namespaces"), count + 64, "sysctl user.max_user_namespaces"),
        ("network namespaces", _number("user/max_net_namespaces"), count + 64, "sysctl user.max_net_namespaces"),
        ("watched folders", _number("fs/inotify/max_user_watches"), count + 64, "sysctl fs.inotify.max_user_watches"),
    ]
    if os.geteuid():  # what root starts runs as another user, whose number is not known to any limit
        mine = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        found.append(("processes of a user", mine, count * _THREADS + 200, "ulimit -Hu, or LimitNPROC= of the service"))
    return [
        f"{what}: {has} allowed, {count} kernels need some {needs}: raise {remedy}"
        for what, has, needs, remedy in found
        if 0 <= has < needs
    ]


def _number(name: str) -> int:
    try:
        return int(Path("/proc/sys", name).read_text())
    except OSError:
        return -1  # this kernel has no such limit
