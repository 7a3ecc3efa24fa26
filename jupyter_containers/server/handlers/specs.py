"""``schema``, ``specs`` and ``environments/NAME/spec``: what a spec may say, and the texts of specs."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from ..models import CheckSpec, DraftSpec, EditedSpec, EditSpec, WriteSpec
from .base import Handler

__all__ = ["CheckHandler", "DraftHandler", "EditHandler", "LockHandler", "SchemaHandler", "SpecHandler"]


class SchemaHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The JSON Schema of a jupyter-container.toml."""
        from ...spec.schema import json_schema

        self.reply(await self.call(lambda _: json_schema()))


class CheckHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """What is wrong with a text, in the command line's words; nothing is kept."""
        wanted = self.body(CheckSpec)
        folder = None if wanted.folder is None else self.path(wanted.folder)
        self.reply(await self.call(lambda environments: environments.specs.check(wanted.text, folder)))


class DraftHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """The text of a first spec; nothing is kept."""
        wanted = self.body(DraftSpec)
        source = wanted.notebook if wanted.notebook is not None else wanted.file
        image = wanted.image or ""
        folder = None if wanted.folder is None else self.path(wanted.folder)
        path = folder if source is None else self.path(source)
        draft = await self.call(
            lambda environments: environments.specs.draft(
                None if image else path, image=image, folder=folder or self.path(""), name=wanted.name
            )
        )
        self.reply(draft)


class EditHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """A text with some values changed, comments and layout kept; nothing is written."""
        wanted = self.body(EditSpec)
        text = await self.call(lambda environments: environments.specs.change(wanted.text, wanted.changes))
        self.reply(EditedSpec(text=text))


class SpecHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, name: str) -> None:
        self.reply(await self.call(lambda environments: environments.specs.read(name)))

    @web.authenticated
    @authorized
    async def put(self, name: str) -> None:
        """Write a text that is valid in place of the one that the client has seen."""
        wanted = self.body(WriteSpec)
        self.reply(await self.call(lambda environments: environments.specs.write(name, wanted.text, wanted.version)))


class LockHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, name: str) -> None:
        """What has changed in the lock since the image was built."""
        self.reply(await self.call(lambda environments: environments.specs.compare_lock(name)))
