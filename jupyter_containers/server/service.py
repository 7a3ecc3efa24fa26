"""What the handlers share: the environments, and the threads that keep the event loop free of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from .feed import Feed

if TYPE_CHECKING:
    from ..environments import Environments
    from ..runtime.base import LogPage
    from ..views import EventPage, JobPage, StoreSize
    from .models import Diagnosis

__all__ = ["Service"]

P = ParamSpec("P")
T = TypeVar("T")

_DIAGNOSIS_AGE = 30.0
"""Seconds that a diagnosis is worth: it costs seconds, and the page that shows it may be reloaded."""

_SIZE_AGE = 300.0
"""Seconds that the store's size is worth: all of its files are looked at."""


class Service:
    """Owner of the environments of this server, and of its threads. :meth:`close` it.

    :param open_environments: makes the environments; called once, in a thread, when they are first needed.
    :param install_kernelspecs: whether a build ends with the install of its kernelspec, where a request says nothing.
    """

    def __init__(self, open_environments: Callable[[], Environments], *, install_kernelspecs: bool = True) -> None:
        self.install_kernelspecs = install_kernelspecs
        self.feed: Feed[EventPage, int] = Feed(self._read_events)
        """Of builds' events."""
        self.logs: Feed[LogPage, str] = Feed(self._read_log)
        """Of containers' output."""
        self.jobs: Feed[JobPage, int] = Feed(self._read_job)
        self._open = open_environments
        self._environments: Environments | None = None
        self._guard = threading.Lock()
        # Pools apart: ten containers that take their ten seconds to stop must not keep a list waiting.
        self._quick = ThreadPoolExecutor(4, thread_name_prefix="containers")
        self._slow = ThreadPoolExecutor(4, thread_name_prefix="containers-slow")
        self._looking = ThreadPoolExecutor(1, thread_name_prefix="containers-look")
        self.loop: asyncio.AbstractEventLoop | None = None
        """The server's, known from the first call on."""
        self._size: tuple[float, StoreSize] | None = None
        self._measuring = threading.Lock()
        self._diagnoses: dict[bool, asyncio.Task[Diagnosis]] = {}
        self._closing = False

    @property
    def environments(self) -> Environments:
        """Blocks when it is first used: from a thread, please."""
        with self._guard:
            if self._environments is None:
                self._environments = self._open()
            return self._environments

    @property
    def busy(self) -> bool:
        """Whether a build waits or is at work here."""
        return self._environments is not None and self._environments.building

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await *function* in a thread: reads and small changes."""
        return await self._run(self._quick, partial(function, *args, **kwargs))

    async def call_slow(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what may take many seconds."""
        return await self._run(self._slow, partial(function, *args, **kwargs))

    async def call_look(self, function: Callable[[Environments], T]) -> T:
        """The same for the regular look, which neither waits for others nor keeps them waiting."""
        return await self._run(self._looking, lambda: function(self.environments))

    async def _run(self, pool: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        self.loop = asyncio.get_running_loop()
        return await self.loop.run_in_executor(pool, function)

    async def _read_events(self, build_id: str, position: int) -> EventPage:
        return await self.call(lambda: self.environments.read_events(build_id, position))

    async def _read_log(self, container: str, position: str) -> LogPage:
        return await self.call(lambda: self.environments.container(container).read_log(position))

    async def _read_job(self, job: str, version: int) -> JobPage:
        return await self.call(lambda: self.environments.jobs.page(job, version))

    def spawn(self, function: Callable[[], None]) -> None:
        """Have *function* run in a thread some time soon; nobody waits for it."""
        self._slow.submit(function)

    async def diagnose(self, *, archives: bool) -> Diagnosis:
        """What the host can do; one check at a time, its answer kept for half a minute."""
        task = self._diagnoses.get(archives)
        outdated = task is not None and task.done() and (
            task.cancelled() or task.exception() or time.time() - task.result().checked_at > _DIAGNOSIS_AGE
        )  # fmt: skip
        if task is None or outdated:
            task = self._diagnoses[archives] = asyncio.create_task(self._diagnose(archives))
        return await asyncio.shield(task)

    async def _diagnose(self, archives: bool) -> Diagnosis:
        from .models import Diagnosis

        findings, size = await asyncio.gather(
            self.call_slow(lambda: self.environments.diagnose(archives=archives)), self.call_slow(self._measure_store)
        )
        return Diagnosis(checked_at=time.time(), findings=findings, store=size)

    def _measure_store(self) -> StoreSize:
        with self._measuring:
            if self._size is None or time.monotonic() - self._size[0] > _SIZE_AGE:
                self._size = time.monotonic(), self.environments.storage.size()
            return self._size[1]

    async def close(self) -> None:
        """End the followers, cancel the builds, and wait for both. A second call, by a second signal, does nothing."""
        if self._closing:
            return
        self._closing = True
        await asyncio.gather(self.feed.close(), self.logs.close(), self.jobs.close())
        if self._environments is not None:
            await self.call_slow(self._environments.close)
        self._quick.shutdown(wait=False)
        self._slow.shutdown(wait=False)
        self._looking.shutdown(wait=False)
