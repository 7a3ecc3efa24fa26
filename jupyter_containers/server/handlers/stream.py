"""What all streams of server-sent events have."""

from __future__ import annotations

import asyncio

from .base import Handler

__all__ = ["HEARTBEAT", "EventStream"]

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: proxies close what is silent for a minute, and a client that
is gone is noticed by writing to it."""


class EventStream(Handler):
    """A handler whose answer goes on until the client leaves, or there is no more to tell."""

    _track_activity = False

    def initialize(self) -> None:
        self.gone = asyncio.Event()
        """Set once the client has left."""

    def on_connection_close(self) -> None:
        self.gone.set()
        super().on_connection_close()

    async def begin(self) -> None:
        """Send the headers: from here on an error can't be told by a status any more."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")  # nginx holds an answer back until it has 4 KiB of it
        await self.flush()

    def end(self) -> None:
        """Send what was written last."""
        self.finish(set_content_type="text/event-stream")
