"""``environments``: named specs with their lock and image."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from ..models import CreateEnvironment
from .base import Handler

__all__ = ["EnvironmentHandler", "EnvironmentsHandler"]


class EnvironmentsHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply(await self.call(lambda environments: environments.list()))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Make a spec known, from its path or its text. Nothing is built."""
        wanted = self.body(CreateEnvironment)
        if wanted.text is not None:
            text, folder = wanted.text, None if wanted.folder is None else self.path(wanted.folder)
            view = await self.call(lambda environments: environments.specs.create(text, folder))
        else:
            path = self.path(wanted.path or "")
            view = await self.call(lambda environments: environments.add(path))
        self.reply(view, 201, location=f"environments/{view.name}")


class EnvironmentHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, name: str) -> None:
        self.reply(await self.call(lambda environments: environments.view(name)))

    @web.authenticated
    @authorized
    async def delete(self, name: str) -> None:
        """Forget it; with ``image=true`` remove its image too. The spec's file stays."""
        image = self.flag("image")
        await self.call(lambda environments: environments.forget(name, image=image), slow=True)
        self.set_status(204)
        self.finish()
