"""The one regular look: what has changed since the one before becomes events, metrics, and news for who follows.

Kernels, the command line and other servers of the same user start containers and builds too, so there is nobody to ask
but the runtime and the disk. While nobody follows only the containers are looked at, and less often.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Literal

import msgspec

from ..errors import ContainersError
from ..views import ACTIVE, JobView
from . import metrics
from .audience import Audience, Follower, Picture
from .events import report_container, report_death
from .usage import measured

if TYPE_CHECKING:
    from jupyter_events import EventLogger

    from ..build.monitor import Event
    from ..environments import Environments
    from ..kernels.deaths import Death
    from ..overview import Look
    from ..runtime.base import Container, ContainerState, Meter, Stats
    from .service import Service

__all__ = ["Watch", "changes"]

_SHARE = 20
"""A look may take one twentieth of the time at most: with very many containers they become rarer."""

_FOLLOWED = 1.0
"""Seconds between two looks while somebody follows."""

_MEASURED = 2.0
"""Seconds between two measurements while somebody follows."""

_BREATH = 0.05
"""Seconds that a look which was asked for waits for others to be asked for."""

_NEWEST = 20
"""Ended builds in the picture; ``GET builds`` has all."""


def changes(
    before: Mapping[str, ContainerState], after: Mapping[str, ContainerState]
) -> Iterator[tuple[Literal["started", "ended", "removed"], ContainerState]]:
    """What happened between two looks, each by container id. A container that came and went in between is not seen,
    one that came and ended is told of with both."""
    for key, state in after.items():
        old = before.get(key)
        if state.started_at is not None and (old is None or old.started_at != state.started_at):
            yield "started", state
        if state.status == "exited" and (old is None or old.ended_at != state.ended_at):
            yield "ended", state
    for key, old in before.items():
        if key not in after:
            yield "removed", old


class _Seen(msgspec.Struct, frozen=True):
    containers: dict[str, ContainerState]
    look: Look | None
    """None: nobody follows."""
    jobs: tuple[JobView, ...]
    stats: list[Stats] | None
    """None: not measured this time."""


class Watch:
    """The loop that looks; :meth:`start` it. For the event loop's thread."""

    def __init__(
        self,
        service: Service,
        logger: EventLogger,
        *,
        interval: float,
        log: logging.Logger,
        activity: Callable[[], Mapping[str, float]] = dict,
        each_metric: bool = True,
    ) -> None:
        """*activity*: when each kernel of this server was last active, by its container's id. *each_metric*: metrics of
        each container, too."""
        self.closed = asyncio.Event()
        self.latest: list[Stats] = []
        """What the last measurement has found."""
        self._activity = activity
        self._each_metric = each_metric
        self._noted: Mapping[str, float] = {}
        self._active: dict[str, Container] = {}
        self._service = service
        self._logger = logger
        self._interval = interval
        self._log = log
        self._audience = Audience()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._before: dict[str, ContainerState] | None = None
        self._meter: Meter | None = None
        """Made at the first measurement; one for all, for a share of the CPU is told by two."""
        self._measured_at = float("-inf")

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self.run())

    async def close(self) -> None:
        """End the loop, and let every follower go."""
        self.closed.set()
        self._audience.wake()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._meter is not None:
            self._meter.close()

    @contextmanager
    def follow(self) -> Iterator[Follower]:
        """Be told everything, from the next look on, which comes soon."""
        with self._audience.follow() as follower:
            self.start()
            self.nudge()
            yield follower

    def tell_death(self, death: Death) -> None:
        """Tell that a kernel has died, before its restart takes the container away."""
        report_death(self._logger, death)
        self._audience.say("death", death)
        self.nudge()

    def hear(self, event: Event) -> None:
        """What a build of this process does: who follows sees at once what it turns to. From the building threads."""
        loop = self._service.loop
        if event.kind in {"phase", "step"} and event.phase != "done" and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.nudge)

    def nudge(self) -> None:
        """Look soon: something has happened."""
        self._wake.set()

    async def run(self) -> None:
        while not self.closed.is_set():
            start = time.monotonic()
            try:
                await self.look()
            except ContainersError as error:
                self._log.warning("cannot look at the containers: %s", error)
            except Exception:
                # The watch must outlive a defect in one look; the traceback is for its report.
                self._log.exception("a look at the containers failed")
            took = time.monotonic() - start
            usual = _FOLLOWED if len(self._audience) else self._interval
            try:
                # Not wait_for(), which before Python 3.12 may lose a cancellation.
                async with asyncio.timeout(max(usual, _SHARE * took)):
                    await self._wake.wait()
                if len(self._audience):
                    await asyncio.sleep(_BREATH + took)
            except TimeoutError:
                pass
            self._wake.clear()

    async def look(self) -> None:
        """One look. The first one only remembers what is there: it did not happen just now."""
        followed = len(self._audience) > 0
        due = time.monotonic() - self._measured_at >= _MEASURED * 0.9
        measure = due or not followed or self._audience.has_new
        activity = self._activity()
        seen = await self._service.call_look(lambda environments: self._read(environments, followed, measure, activity))
        if self._before is not None:
            for action, state in changes(self._before, seen.containers):
                report_container(self._logger, action, state)
        self._before = seen.containers
        if seen.look is not None:
            self._audience.show(_picture(seen.look, seen.jobs))
        if seen.stats is not None:
            self.latest = seen.stats
            metrics.set_running(seen.containers.values(), seen.stats, each=self._each_metric)
            if seen.stats:
                self._audience.say("stats", measured(seen.stats))

    def _read(self, environments: Environments, followed: bool, measure: bool, activity: Mapping[str, float]) -> _Seen:
        """In a thread."""
        self._note(environments, activity)
        look = environments.overview.look() if followed else None
        states = look.containers if look else {state.id: state for state in environments.containers(all=True)}
        stats = self._measure(environments, states) if measure else None
        return _Seen(states, look, environments.jobs.list() if followed else (), stats)

    def _note(self, environments: Environments, activity: Mapping[str, float]) -> None:
        """Write down which kernels were active, for those who have no server to ask."""
        self._active = {key: container for key, container in self._active.items() if key in activity}
        for key, at in activity.items():
            if self._noted.get(key) != at:
                with suppress(ContainersError):
                    if key not in self._active:
                        self._active[key] = environments.container(key)
                    self._active[key].note_activity(at)
        self._noted = activity

    def _measure(self, environments: Environments, states: Mapping[str, ContainerState]) -> list[Stats]:
        self._measured_at = time.monotonic()
        if self._meter is None:
            self._meter = environments.meter()
        return self._meter.read(states.values())


def _picture(look: Look, jobs: Sequence[JobView]) -> Picture:
    active = {key: view for key, view in look.builds.items() if view.state in ACTIVE}
    ended = ((key, view) for key, view in look.builds.items() if view.state not in ACTIVE)
    builds = {**active, **dict(islice(ended, _NEWEST))}
    return {
        "environment": look.environments,
        "container": look.containers,
        "build": builds,
        "image": look.images,
        "job": {view.id: view for view in jobs},
    }
