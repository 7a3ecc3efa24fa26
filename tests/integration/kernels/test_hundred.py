"""A hundred kernels of one environment at once: a small version of ``benchmarks/thousand.py``."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jupyter_client.manager import AsyncKernelManager

from jupyter_containers.kernels import kernelspec
from jupyter_containers.paths import Paths
from jupyter_containers.runtime import warm
from jupyter_containers.runtime.processes import find_main

pytestmark = [pytest.mark.network, pytest.mark.slow]

COUNT = 100
MOST_PRIVATE = 12 << 20
"""Bytes of a kernel and its first process. A kernel that shares nothing has three times as many."""
QUESTION = "(__import__('os').stat('/proc/self/ns/mnt').st_ino, __import__('os').path.exists('/tmp/mark'))"
CODE = "open('/tmp/mark', 'x').close()"


@pytest.fixture
def many_files():
    """A kernel takes some descriptors of its client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def start(name: str, folder: Path) -> AsyncKernelManager:
    manager = AsyncKernelManager(kernel_name=name)
    await manager.start_kernel(cwd=str(folder))
    return manager


async def ask(manager: AsyncKernelManager) -> str:
    client = manager.client()
    client.start_channels(iopub=False, stdin=False, hb=False, control=False)
    try:
        request = client.execute(CODE, user_expressions={"where": QUESTION})
        while (reply := await client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != request:
            pass
    finally:
        client.stop_channels()
    assert reply["content"]["status"] == "ok", reply["content"]
    return reply["content"]["user_expressions"]["where"]["data"]["text/plain"]


def private(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def test_a_hundred_kernels_at_once(environment, folder, user, many_files, is_alive) -> None:
    asyncio.run(run(environment, folder, user, is_alive))


async def run(environment: str, folder: Path, user: Paths, is_alive: Callable[[int], bool]) -> None:
    kernelspec.install(environment, warm="wait")
    managers: list[AsyncKernelManager] = []
    try:
        for _ in range(COUNT):
            managers.append(await start(f"jc-{environment}", folder))
        containers = [manager.provisioner.container for manager in managers]
        states = [container.state() for container in containers]
        assert {state.start for state in states} == {"fork"}
        answers = await asyncio.gather(*map(ask, managers))
        # Each sees mounts of its own, and wrote where no other did.
        assert len(set(answers)) == COUNT
        assert all(answer.endswith("True)") for answer in answers)
        marks = [user.containers / container.id / "upper" / "tmp" / "mark" for container in containers]
        assert all(mark.exists() for mark in marks)
        pids = [pid for state in states for pid in (state.pid, find_main(state.pid).pid)]
        assert len(set(pids)) == 2 * COUNT
        assert sum(map(private, pids[-2:])) < MOST_PRIVATE
    finally:
        await asyncio.gather(*(manager.shutdown_kernel(now=True) for manager in managers if manager.has_kernel))
        kernelspec.install(environment)
        warm.close_servers()
    left = [*pids, *(user.containers / container.id for container in containers)]
    deadline = time.monotonic() + 20
    while left := [one for one in left if (is_alive(one) if isinstance(one, int) else one.exists())]:
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)
