"""Prometheus metrics, in the registry that the server's own ``/metrics`` shows.

Their values are set when something happens, and by :mod:`.watch`; a scrape only reads them and never waits.
Names follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from ..runtime.base import ContainerState, Stats
    from ..views import BuildView

__all__ = ["count_build", "count_container", "set_running"]

_RESULTS = ("done", "failed", "cancelled")
_KINDS = ("kernel", "command")

BUILDS = Counter("jupyter_containers_builds_total", "Builds that have ended, by result", ["result"])
BUILD_SECONDS = Histogram(
    "jupyter_containers_build_seconds", "Time from the start of a build to its end", ["result"],
    buckets=(0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600),
)  # fmt: skip
STARTS = Counter("jupyter_containers_container_starts_total", "Containers that have started, by kind", ["kind"])
ENDS = Counter(
    "jupyter_containers_container_ends_total", "Containers that have ended, by kind and outcome", ["kind", "outcome"]
)
RUNNING = Gauge("jupyter_containers_containers_running", "Containers that run now, by kind", ["kind"])
MEMORY = Gauge("jupyter_containers_memory_bytes", "Memory of all running containers together")

for _result in _RESULTS:  # so that a rate has a zero to start from
    BUILDS.labels(_result)
for _kind in _KINDS:
    STARTS.labels(_kind)
    RUNNING.labels(_kind)


def count_build(view: BuildView) -> None:
    """Count a build that has ended; others are left alone."""
    if view.state not in _RESULTS:
        return
    BUILDS.labels(view.state).inc()
    if view.started_at is not None and view.ended_at is not None:
        BUILD_SECONDS.labels(view.state).observe(max(0.0, view.ended_at - view.started_at))


def count_container(action: str, state: ContainerState) -> None:
    """Count a container's start or end."""
    if action == "started":
        STARTS.labels(state.kind).inc()
    elif action == "ended":
        ENDS.labels(state.kind, "success" if state.exit_code == 0 else "failure").inc()


def set_running(states: Iterable[ContainerState], stats: Iterable[Stats]) -> None:
    """Set the gauges to what runs now."""
    running = Count(state.kind for state in states if state.status in {"running", "paused"})
    for kind in _KINDS:
        RUNNING.labels(kind).set(running[kind])
    MEMORY.set(sum(item.memory for item in stats))
