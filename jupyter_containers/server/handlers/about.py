"""``version`` and ``openapi.yaml``: what a client needs to know before it asks for more."""

from __future__ import annotations

from pathlib import Path

from jupyter_server.auth.decorator import authorized
from tornado import web

from ..._version import __version__
from ..models import Version
from .base import Handler

__all__ = ["OpenAPIHandler", "VersionHandler"]

_DOCUMENT = Path(__file__).parent.parent / "openapi.yaml"


class VersionHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The program's version and that of its interface: a frontend compares the latter with its own."""
        self.reply(Version(version=__version__))


class OpenAPIHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        text = await self.call(lambda _: _DOCUMENT.read_bytes())
        self.finish(text, set_content_type="application/yaml")
