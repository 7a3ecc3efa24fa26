"""``feed``: all that a page shows, kept up to date by one stream."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from ..messages import STILL_HERE
from .stream import HEARTBEAT, EventStream

__all__ = ["FeedHandler"]


class FeedHandler(EventStream):
    """First a ``snapshot``, then each ``change``, and ``stats`` while containers run.

    A client that reconnects gets a new snapshot, and so does one that is too slow to take every change.
    """

    @web.authenticated
    @authorized
    async def get(self) -> None:
        with self.watch.follow() as follower:
            await self.begin()
            try:
                while True:
                    messages = await follower.next(timeout=HEARTBEAT, gone=self.gone)
                    if self.gone.is_set() or self.watch.closed.is_set():
                        return
                    self.write(b"".join(messages) or STILL_HERE)
                    await self.flush()
            except StreamClosedError:
                return
