"""``api/metrics/v1``: the answers that the front end of jupyter-resource-usage asks for, where its server side is not.

Its own counts the server's child processes; a container's are not all of them, and their shared pages count more than
once. These come of the control groups. Where that extension is enabled its own handlers stay alone.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from ..usage import describe_all, describe_kernel
from .base import Handler

if TYPE_CHECKING:
    import psutil

    from ...runtime.base import Container, ContainerState, Stats

__all__ = ["EXTENSION", "ROUTES"]

EXTENSION = "jupyter_resource_usage"


class UsageHandler(Handler):
    _track_activity = False  # a status bar asks every five seconds

    @web.authenticated
    @authorized
    async def get(self) -> None:
        stats = self.watch.latest
        memory, cpu = await self.call(lambda _: _own())
        total = memory + sum(item.memory for item in stats)
        self.reply(
            describe_all(
                stats, own_memory=memory, own_cpu=cpu, cpus=_cpus(),
                memory_limit=int(self._limit("mem_limit", "MEM_LIMIT", rss=total, pss=total)),
                cpu_limit=self._limit("cpu_limit", "CPU_LIMIT", cpu_percent=cpu),
            )
        )  # fmt: skip

    def _limit(self, name: str, variable: str, **usage: float) -> float:
        """What is to be shown as the limit, as that extension is told it: by its own setting, else a variable."""
        section: Any = (self.config or {}).get("ResourceUseDisplay", {})
        value = section.get(name)
        try:
            return float(value(**usage) if callable(value) else value or os.environ.get(variable, 0))
        except (TypeError, ValueError):
            self.log.warning("c.ResourceUseDisplay.%s, or %s, is no number: no limit is shown", name, variable)
            return 0.0


class KernelUsageHandler(Handler):
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, kernel_id: str) -> None:
        if kernel_id not in self.kernel_manager:
            raise web.HTTPError(404, f"no kernel {kernel_id!r}")
        container = getattr(self.kernel_manager.get_kernel(kernel_id).provisioner, "container", None)
        if container is None:
            # Kernels outside of containers could tell by themselves, to that extension's own handler.
            self.reply({"kernel_id": kernel_id, "content": {"reason": "not_supported", "kernel_version": None}})
            return
        self.reply(await self.call(lambda _: _describe(container, kernel_id)))


def _describe(container: Container, kernel_id: str) -> dict[str, Any]:
    import psutil

    stats: Stats = container.stats()
    state: ContainerState = container.state()
    host = dict(psutil.virtual_memory()._asdict())
    return describe_kernel(
        stats, kernel_id=kernel_id, pid=state.pid, host=host, host_cpu=psutil.cpu_percent(), cpus=_cpus()
    )


@cache
def _process() -> psutil.Process:
    """One for good: a share of the CPU is told by two looks."""
    import psutil

    return psutil.Process()


def _own() -> tuple[int, float]:
    """This server's own memory in bytes, and its share of the CPU since the last time."""
    process = _process()
    with process.oneshot():
        return process.memory_info().rss, process.cpu_percent()


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


ROUTES = (
    (r"/api/metrics/v1", UsageHandler),
    (r"/api/metrics/v1/kernel_usage/get_usage/(?P<kernel_id>[^/]+)", KernelUsageHandler),
)
"""Patterns below the server's base url."""
