"""``containers``: those of this user, whoever started them."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from ..models import StopContainer
from .base import Handler

__all__ = ["ContainerHandler", "ContainersHandler", "LogHandler", "StatsHandler", "StopHandler"]


class ContainersHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The running ones, or with ``all=true`` the ended ones too."""
        every = self.flag("all")
        self.reply(await self.call(lambda environments: environments.containers(all=every)))


class ContainerHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        self.reply(await self.call(lambda environments: environments.container(reference).state()))

    @web.authenticated
    @authorized
    async def delete(self, reference: str) -> None:
        """Remove it with its writable layer; a running one only with ``force=true``."""
        force = self.flag("force")
        await self.call(lambda environments: environments.container(reference).remove(force=force), slow=True)
        self.set_status(204)
        self.finish()


class LogHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        log = await self.call(lambda environments: environments.container(reference).logs())
        self.finish(log.encode(errors="replace"), set_content_type="text/plain; charset=utf-8")


class StatsHandler(Handler):
    _track_activity = False  # a page that shows them asks every second

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        self.reply(await self.call(lambda environments: environments.container(reference).stats()))


class StopHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """SIGTERM, after ``grace`` seconds SIGKILL; answers once it has ended, with its state."""
        grace = self.body(StopContainer).grace
        container = await self.call(lambda environments: environments.container(reference))
        await self.call(lambda _: container.stop(grace=grace), slow=True)
        self.reply(await self.call(lambda _: container.state()))
