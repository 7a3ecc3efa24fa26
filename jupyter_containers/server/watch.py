"""A regular look at the containers: what has changed since the one before becomes events and metrics.

Kernels, the command line and other servers of the same user start containers too, so there is nobody to ask but the
runtime.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from ..errors import ContainersError
from . import metrics
from .events import report_container

if TYPE_CHECKING:
    from jupyter_events import EventLogger

    from ..runtime.base import ContainerState, Stats
    from .service import Service

__all__ = ["Watch", "changes"]

_SHARE = 20
"""A look may take one twentieth of the time at most: with very many containers they become rarer."""


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


class Watch:
    """Runs until it is cancelled."""

    def __init__(self, service: Service, logger: EventLogger, *, interval: float, log: logging.Logger) -> None:
        self._service = service
        self._logger = logger
        self._interval = interval
        self._log = log
        self._before: dict[str, ContainerState] | None = None

    async def run(self) -> None:
        while True:
            start = time.monotonic()
            try:
                await self.look()
            except ContainersError as error:
                self._log.warning("cannot look at the containers: %s", error)
            except Exception:
                # The watch must outlive a defect in one look; the traceback is for its report.
                self._log.exception("a look at the containers failed")
            await asyncio.sleep(max(self._interval, _SHARE * (time.monotonic() - start)))

    async def look(self) -> None:
        """One look. The first one only remembers what is there: it did not happen just now."""
        states, stats = await self._service.call_slow(self._read)
        after = {state.id: state for state in states}
        if self._before is not None:
            for action, state in changes(self._before, after):
                report_container(self._logger, action, state)
        self._before = after
        metrics.set_running(states, stats)

    def _read(self) -> tuple[tuple[ContainerState, ...], list[Stats]]:
        environments = self._service.environments
        states = environments.containers(all=True)
        stats = []
        for state in states:
            if state.status == "running":
                try:
                    stats.append(environments.container(state.id).stats())
                except ContainersError:
                    continue  # it has ended since
        return states, stats
