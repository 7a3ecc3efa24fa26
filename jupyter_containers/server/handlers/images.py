"""``images``: what the store holds."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from .base import Handler

__all__ = ["ImagesHandler"]


class ImagesHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply(await self.call(lambda environments: environments.storage.images()))
