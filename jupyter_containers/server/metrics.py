"""Prometheus metrics, in the registry that the server's own ``/metrics`` shows.

Their values are set when something happens, and by :mod:`.watch`; a scrape only reads them and never waits.
Names follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ..runtime.usage import add_up

if TYPE_CHECKING:
    from prometheus_client import Metric

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
CPU = Gauge("jupyter_containers_cpu_percent", "CPU share of all running containers together; 100 is one CPU")
PIDS = Gauge("jupyter_containers_pids", "Processes and threads of all running containers together")

_EACH = (
    # field of Stats, name, whether it only grows, what it is
    ("cpu_seconds", "cpu_seconds", True, "CPU time used since its start"),
    ("memory", "memory_bytes", False, "Memory"),
    ("memory_limit", "memory_limit_bytes", False, "Limit of memory"),
    ("memory_peak", "memory_peak_bytes", False, "Most memory that it had at once"),
    ("pids", "pids", False, "Processes and threads"),
    ("read_bytes", "read_bytes", True, "Bytes read from block devices"),
    ("write_bytes", "write_bytes", True, "Bytes written to block devices"),
    ("received_bytes", "received_bytes", True, "Bytes received over a network of its own"),
    ("sent_bytes", "sent_bytes", True, "Bytes sent over a network of its own"),
    ("uptime", "uptime_seconds", False, "Time since its start"),
    ("last_activity", "last_activity_timestamp_seconds", False, "When its kernel last said something"),
)


class EachContainer(Collector):
    """A value of each kind for each running container. Made when it is asked for: what is of no container any more
    leaves no series behind, and where nobody scrapes a thousand kernels cost nothing."""

    def __init__(self) -> None:
        self.running: Sequence[tuple[ContainerState, Stats]] = ()

    def collect(self) -> Iterator[Metric]:
        for field, name, grows, what in _EACH:
            kind = CounterMetricFamily if grows else GaugeMetricFamily
            family = kind(f"jupyter_containers_container_{name}", f"{what}, by container", labels=_LABELS)
            for state, stats in self.running:
                value = getattr(stats, field)
                if value is not None:
                    family.add_metric([state.name, state.image_name, state.kind], value)
            yield family

    def describe(self) -> Iterator[Metric]:
        """The names alone, which do not depend on what runs."""
        yield from EachContainer().collect()


_LABELS = ("container", "environment", "kind")
EACH = EachContainer()
REGISTRY.register(EACH)

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


def set_running(states: Iterable[ContainerState], stats: Sequence[Stats], *, each: bool = True) -> None:
    """Set the gauges to what runs now; *each*: those of each container as well."""
    states = tuple(states)
    running = Count(state.kind for state in states if state.status in {"running", "paused"})
    for kind in _KINDS:
        RUNNING.labels(kind).set(running[kind])
    total = add_up(stats)
    MEMORY.set(total.memory)
    CPU.set(total.cpu_percent)
    PIDS.set(total.pids)
    known = {state.id: state for state in states}
    EACH.running = [(known[item.id], item) for item in stats if item.id in known] if each else ()
