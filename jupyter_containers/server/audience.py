"""Those who follow everything: what has changed is encoded once and told to all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import msgspec

from .messages import message

__all__ = ["Audience", "Follower", "Picture", "differences"]

MOST_WAITING = 5000
"""Messages that one follower may leave lying; then a new snapshot is less."""

Picture: TypeAlias = Mapping[str, Mapping[str, Any]]
"""By kind (``environment``, ``container`` …) the views by their keys."""


class Change(msgspec.Struct, frozen=True):
    """Something came, changed, or went."""

    kind: str
    key: str
    item: Any
    """Its view; None: it is no more."""


def differences(before: Picture, after: Picture) -> Iterator[Change]:
    """What makes *after* of *before*, both with the same kinds."""
    for kind, items in after.items():
        old = before[kind]
        for key, item in items.items():
            known = old.get(key)
            if known is not item and known != item:
                yield Change(kind, key, item)
        for key in old.keys() - items.keys():
            yield Change(kind, key, None)


class Follower:
    """One client's view on the stream."""

    def __init__(self) -> None:
        self.complete = False
        """Whether it has a snapshot, to which changes can be told."""
        self._waiting: deque[bytes] = deque()
        self._some = asyncio.Event()

    def tell(self, messages: Sequence[bytes]) -> None:
        if len(self._waiting) + len(messages) > MOST_WAITING:
            self._waiting.clear()
            self.complete = False
            return
        self._waiting.extend(messages)
        self._some.set()

    async def next(self, *, timeout: float, gone: asyncio.Event) -> list[bytes]:
        """What has come: at once where something has, else as soon as it does; empty after *timeout* seconds of
        silence, or when the client is *gone*."""
        if not self._waiting:
            tasks = [asyncio.create_task(event.wait()) for event in (self._some, gone)]
            try:
                await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
        found = list(self._waiting)
        self._waiting.clear()
        self._some.clear()
        return found

    def wake(self) -> None:
        """Have :meth:`next` return."""
        self._some.set()


class Audience:
    """All followers, and what they were told last. For the event loop's thread."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()
        self._picture: Picture = {}

    def __len__(self) -> int:
        return len(self._followers)

    @property
    def has_new(self) -> bool:
        """Whether somebody is to get a snapshot next."""
        return not all(follower.complete for follower in self._followers)

    @contextmanager
    def follow(self) -> Iterator[Follower]:
        follower = Follower()
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def show(self, picture: Picture) -> None:
        """Tell what has changed since the last *picture*; all of it to those who have none yet."""
        before, self._picture = self._picture, picture
        if any(follower.complete for follower in self._followers):
            changes = [message("change", msgspec.json.encode(item)) for item in differences(before, picture)]
            self._tell(changes)
        new = [follower for follower in self._followers if not follower.complete]
        if new:
            whole = {f"{kind}s": list(items.values()) for kind, items in picture.items()}
            snapshot = message("snapshot", msgspec.json.encode(whole))
            for follower in new:
                follower.complete = True
                follower.tell([snapshot])

    def say(self, kind: str, content: object) -> None:
        """Tell something of the moment that is no part of the picture."""
        self._tell([message(kind, msgspec.json.encode(content))])

    def wake(self) -> None:
        """Have every follower look up."""
        for follower in self._followers:
            follower.wake()

    def _tell(self, messages: Sequence[bytes]) -> None:
        if messages:
            for follower in self._followers:
                if follower.complete:
                    follower.tell(messages)
