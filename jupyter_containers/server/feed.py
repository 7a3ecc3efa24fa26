"""Following builds: any number of followers of one build cost one look at its events at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..views import EventPage

__all__ = ["Feed"]

_INTERVAL = 0.2
"""Seconds between two looks. The events of other processes' builds (the command line's) can only be polled for, so
those of this process's come the same way."""


class _Wait:
    """The wait for what comes after one position of one build, and how many share it."""

    def __init__(self, task: asyncio.Task[EventPage]) -> None:
        self.task = task
        self.followers = 0


class Feed:
    """Pages of events, as they come. All followers that have seen everything share one poll.

    :param read: gives the events of a build after a position, at once (:meth:`.Environments.read_events`).
    """

    def __init__(self, read: Callable[[str, int], Awaitable[EventPage]]) -> None:
        self._read = read
        self._waits: dict[tuple[str, int], _Wait] = {}
        self.closed = asyncio.Event()

    @property
    def followers(self) -> int:
        """How many wait for something to come."""
        return sum(wait.followers for wait in self._waits.values())

    async def next_page(self, build_id: str, position: int, *, timeout: float, gone: asyncio.Event) -> EventPage | None:
        """The events after *position*: at once where there are some, else as soon as there are.

        None after *timeout* seconds of silence, or when *gone* (the follower left) or :meth:`close` was called. A page
        without events is the last one. Errors: those of :meth:`.Environments.read_events`.
        """
        key = build_id, position
        wait = self._waits.get(key)
        if wait is None:
            wait = self._waits[key] = _Wait(asyncio.create_task(self._poll(build_id, position)))
        wait.followers += 1
        leave = [asyncio.create_task(event.wait()) for event in (gone, self.closed)]
        try:
            await asyncio.wait([wait.task, *leave], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            return wait.task.result() if wait.task.done() else None
        finally:
            for task in leave:
                task.cancel()
            wait.followers -= 1
            if wait.followers == 0:
                wait.task.cancel()
                if self._waits.get(key) is wait:
                    del self._waits[key]

    async def close(self) -> None:
        """Let every follower go."""
        self.closed.set()
        tasks = [wait.task for wait in self._waits.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, build_id: str, position: int) -> EventPage:
        while True:
            page = await self._read(build_id, position)
            if page.events or page.ended:
                return page
            await asyncio.sleep(_INTERVAL)
