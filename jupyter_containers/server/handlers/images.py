"""``images``: what the store holds, and what comes into it."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.web import stream_request_body

from ...errors import ContainersError, OutOfSpaceError
from ...transfers import Upload
from ..models import PullImage
from .base import Handler, Refusal

__all__ = ["HistoryHandler", "ImageHandler", "ImagesHandler", "LoadHandler", "PullHandler"]

_PIECE = 1 << 20
"""Bytes that are written at a time: a body comes in pieces of 64 KiB, and each write is a way through a thread."""


class ImagesHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply(await self.call(lambda environments: environments.storage.images()))


class ImageHandler(Handler):
    @web.authenticated
    @authorized
    async def delete(self, reference: str) -> None:
        """Forget an image, or only that name of it where it has others."""
        await self.call(lambda environments: environments.storage.remove(reference), slow=True)
        self.set_status(204)
        self.finish()


class HistoryHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """What it is made of, lowest layer first."""
        self.reply(await self.call(lambda environments: environments.storage.history(reference)))


class PullHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Take an image from a registry; answers at once, with the job."""
        wanted = self.body(PullImage)
        self.accept(await self.call(lambda environments: environments.transfers.start_pull(wanted.reference)))


@stream_request_body
class LoadHandler(Handler):
    """Takes in an archive, the body, which is written to a file as it comes."""

    def initialize(self) -> None:
        self._upload: Upload | None = None
        self._waiting = bytearray()

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        # The decorators of `post` would come too late: the body is here by then.
        user = self.current_user
        if user is None or not await _answer(self.authorizer.is_authorized(self, user, "write", self.auth_resource)):
            raise web.HTTPError(403)
        length = self.request.headers.get("Content-Length", "")
        expected = int(length) if length.isdigit() else None
        try:
            self._upload = upload = await self.call(
                lambda environments: environments.transfers.upload(expected=expected)
            )
        except Refusal:
            self.request.connection.set_max_body_size(_PIECE)  # type: ignore[union-attr]
            raise
        self.request.connection.set_max_body_size(upload.most)  # type: ignore[union-attr]

    async def data_received(self, chunk: bytes) -> None:
        self._waiting += chunk
        if len(self._waiting) >= _PIECE:
            await self._write()

    async def _write(self) -> None:
        upload, data = self._upload, bytes(self._waiting)
        self._waiting.clear()
        if upload is not None and data:
            try:
                await self.service.call(upload.write, data)
            except ContainersError as error:
                raise Refusal(error) from error
            except OSError as error:
                told = OutOfSpaceError(f"the file can't be kept: {error.strerror}", hint="make room on the disk")
                raise Refusal(told) from error

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Take in the images of the archive; answers when it is here, with the job that reads it."""
        await self._write()
        upload = self._upload
        assert upload is not None
        title = self.get_query_argument("name", "")[:200]
        view = await self.call(lambda environments: environments.transfers.start_load(upload, title=title))
        self._upload = None  # the job's from here on
        self.accept(view)

    def on_connection_close(self) -> None:
        self._give_up()
        super().on_connection_close()

    def on_finish(self) -> None:
        self._give_up()
        super().on_finish()

    def _give_up(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            self.service.spawn(upload.close)


async def _answer(value: object) -> bool:
    """An authorizer's answer, which it may give at once or later."""
    return bool(await value) if hasattr(value, "__await__") else bool(value)
