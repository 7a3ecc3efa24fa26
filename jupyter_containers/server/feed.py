"""Following what only can be polled for: any number of followers of one thing cost one look at it at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

__all__ = ["Feed", "Page"]

_INTERVAL = 0.2
"""Seconds between two looks. The events of other processes' builds (the command line's) can only be polled for, so
those of this process's come the same way."""


class Page(Protocol):
    """Some of what there is to follow, in order."""

    @property
    def ended(self) -> bool:
        """Nothing more will come."""

    @property
    def has_news(self) -> bool: ...


P = TypeVar("P", bound=Page)
At = TypeVar("At", bound=int | str)


class _Wait(Generic[P]):
    """The wait for what comes after one position of one thing, and how many share it."""

    def __init__(self, task: asyncio.Task[P]) -> None:
        self.task = task
        self.followers = 0


class Feed(Generic[P, At]):
    """Pages, as they come. All followers that have seen everything share one poll.

    :param read: gives what there is of a thing (a build, by its id) after a position, at once.
    """

    def __init__(self, read: Callable[[str, At], Awaitable[P]]) -> None:
        self._read = read
        self._waits: dict[tuple[str, At], _Wait[P]] = {}
        self.closed = asyncio.Event()

    @property
    def followers(self) -> int:
        """How many wait for something to come."""
        return sum(wait.followers for wait in self._waits.values())

    async def next_page(self, key: str, position: At, *, timeout: float, gone: asyncio.Event) -> P | None:
        """What comes after *position*: at once where there is something, else as soon as there is.

        None after *timeout* seconds of silence, or when *gone* (the follower left) or :meth:`close` was called. A page
        without news is the last one. Errors: those of the reader.
        """
        wait = self._waits.get((key, position))
        if wait is None:
            wait = self._waits[key, position] = _Wait(asyncio.create_task(self._poll(key, position)))
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
                if self._waits.get((key, position)) is wait:
                    del self._waits[key, position]

    async def close(self) -> None:
        """Let every follower go."""
        self.closed.set()
        tasks = [wait.task for wait in self._waits.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, key: str, position: At) -> P:
        while True:
            page = await self._read(key, position)
            if page.has_news or page.ended:
                return page
            await asyncio.sleep(_INTERVAL)
