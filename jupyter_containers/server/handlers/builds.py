"""``builds``: start, follow, cancel, read the log."""

from __future__ import annotations

from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from ...errors import InputError
from ...views import EventPage
from ..messages import STILL_HERE, message
from ..models import StartBuild
from .base import Handler, Refusal
from .stream import HEARTBEAT, EventStream

__all__ = ["BuildHandler", "BuildsHandler", "EventsHandler", "LogHandler"]


class BuildsHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply(await self.call(lambda environments: environments.builds()))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Start one; answers at once, with the build's view."""
        wanted = self.body(StartBuild)
        reference = wanted.environment if wanted.environment is not None else self.path(wanted.path or "")
        kernelspec = self.service.install_kernelspecs if wanted.kernelspec is None else wanted.kernelspec
        more: dict[str, Any] = {"automatic": True} if wanted.automatic else {}
        build_id = await self.call(
            lambda environments: environments.start_build(
                reference,
                monitor=self.watch.hear,
                kernelspec=kernelspec,
                upgrade=wanted.upgrade,
                locked=wanted.locked,
                no_cache=wanted.no_cache,
                **more,
            )
        )
        view = await self.call(lambda environments: environments.find_build(build_id))
        self.reply(view, 202, location=f"builds/{build_id}")


class BuildHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        self.reply(await self.call(lambda environments: environments.find_build(reference)))

    @web.authenticated
    @authorized
    async def delete(self, reference: str) -> None:
        """Cancel it. Its record and log stay."""
        self.reply(await self.call(lambda environments: environments.cancel_build(reference)), 202)


class LogHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        log = await self.call(lambda environments: environments.build_log(reference))
        self.finish(log.encode(errors="replace"), set_content_type="text/plain; charset=utf-8")


class EventsHandler(EventStream):
    """A build's events.

    Each has the event's kind as its type, its position as its id and the event as JSON as its data. The last one is of
    type ``end`` and has the build's view. A client that reconnects with ``Last-Event-ID`` goes on where it was.
    """

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        position = self._position()
        # Before the first byte: a build that is not there is answered with 404.
        page: EventPage | None = await self.call(lambda environments: environments.read_events(reference, position))
        feed = self.service.feed
        try:
            await self.begin()
            while page is None or not page.ended:
                for item in page.events if page else ():
                    self.write(message(item.event.kind, msgspec.json.encode(item.event), position=item.position))
                    position = item.position
                await self.flush()
                page = await feed.next_page(reference, position, timeout=HEARTBEAT, gone=self.gone)
                if self.gone.is_set() or feed.closed.is_set():
                    return
                if page is None:
                    self.write(STILL_HERE)
            view = await self.call(lambda environments: environments.find_build(reference))
            self.write(message("end", msgspec.json.encode(view), position=position))
            self.end()
        except StreamClosedError:
            return

    def _position(self) -> int:
        text = self.request.headers.get("Last-Event-ID", "") or "0"
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise Refusal(InputError(f"Last-Event-ID {text[:40]!r} is not an id of an event", hint="begin without it"))
        return int(text)
