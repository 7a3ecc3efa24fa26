"""``jobs``: transfers and other long work; and ``prune``."""

from __future__ import annotations

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from ...views import JobPage
from ..messages import STILL_HERE, message
from ..models import Pruned, PruneStore
from .base import Handler
from .stream import HEARTBEAT, EventStream

__all__ = ["EventsHandler", "JobHandler", "JobsHandler", "PruneHandler"]


class JobsHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply(await self.call(lambda environments: environments.jobs.list()))


class JobHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        self.reply(await self.call(lambda environments: environments.jobs.find(reference)))

    @web.authenticated
    @authorized
    async def delete(self, reference: str) -> None:
        """Cancel it."""
        self.reply(await self.call(lambda environments: environments.jobs.cancel(reference)), 202)


class EventsHandler(EventStream):
    """A job as it goes on: a ``change`` with its view each time, and last an ``end`` with it."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        page: JobPage | None = await self.call(lambda environments: environments.jobs.page(reference, -1))
        version, jobs = -1, self.service.jobs
        try:
            await self.begin()
            while page is None or not page.ended:
                if page is None:
                    self.write(STILL_HERE)
                else:
                    version = page.view.version
                    self.write(message("change", msgspec.json.encode(page.view)))
                await self.flush()
                page = await jobs.next_page(reference, version, timeout=HEARTBEAT, gone=self.gone)
                if self.gone.is_set() or jobs.closed.is_set():
                    return
            self.write(message("end", msgspec.json.encode(page.view)))
            self.end()
        except StreamClosedError:
            return


class PruneHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Remove what nothing refers to, or with ``dry_run`` tell what that is."""
        wanted = self.body(PruneStore)
        done = await self.call(
            lambda environments: environments.storage.prune(
                dry_run=wanted.dry_run, everything=wanted.everything, unused_for=wanted.unused_for
            ),
            slow=True,
        )
        self.reply(Pruned(removed=done.items, freed=done.size, dry_run=wanted.dry_run))
