"""``environments``: named specs with their lock and image."""

from __future__ import annotations

from contextlib import ExitStack

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from ..models import CreateEnvironment, PushImage
from .base import Handler

__all__ = ["ArchiveHandler", "EnvironmentHandler", "EnvironmentsHandler", "PushHandler"]

_PIECE = 1 << 20


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


class PushHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self, name: str) -> None:
        """Send its image to a registry; answers at once, with the job."""
        wanted = self.body(PushImage)
        self.accept(await self.call(lambda environments: environments.transfers.start_push(name, wanted.target)))


class ArchiveHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, name: str) -> None:
        """Its image as an OCI archive, to be kept as a file. It is written aside first: its size is told."""
        with ExitStack() as stack:
            path = await self.call(
                lambda environments: stack.enter_context(environments.transfers.archive([name])), slow=True
            )
            stream = stack.enter_context(path.open("rb"))
            self.set_header("Content-Type", "application/x-tar")
            self.set_header("Content-Disposition", f'attachment; filename="{name}.tar"')
            self.set_header("Content-Length", str(path.stat().st_size))
            self.set_header("Cache-Control", "no-store")
            try:
                while piece := await self.service.call(stream.read, _PIECE):
                    self.write(piece)
                    await self.flush()
            except StreamClosedError:
                return
            self.finish(set_content_type="application/x-tar")
