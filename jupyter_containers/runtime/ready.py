"""What a process keeps ready for starts to come: fork servers (:mod:`.warm`), kernels that wait (``kernels/pool.py``).

All of it lies on one shelf, so that one bound holds for all: in number, in memory, and in the time for which nobody has
asked for it. It is started when a first one is asked for; what could not be had, and why, is remembered as long.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar, cast

import msgspec

__all__ = ["Bounds", "Item", "Shelf", "current_shelf"]


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept ready."""

    most: int = 8
    """Processes that wait: each holds the memory of a kernel that has imported its modules."""
    memory: int = 0
    """Bytes that they hold together; 0: a quarter of the host's."""
    idle: float = 900.0
    """Seconds after which one that nobody asks for goes."""

    @property
    def bytes(self) -> int:
        return self.memory or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4


class Item(Protocol):
    """Something that is kept ready. What is asked of it here is quick, but for :meth:`close` and :meth:`memory`."""

    subject: tuple[str, str]
    """An environment's name and an image's digest: of one that is built anew, what is of the old image goes."""
    used: float
    """When it was asked for last (``time.monotonic``)."""

    def count(self) -> int:
        """Processes that it is, or is going to be."""

    def is_free(self) -> bool:
        """Whether it can go without anybody's harm."""

    def memory(self) -> int:
        """Bytes that it holds."""

    def give_up(self, reason: str) -> None:
        """End it, and tell *reason* to who asks for it from now on."""

    def close(self) -> None:
        """End it."""


T = TypeVar("T", bound=Item)


class Shelf:
    """Use :func:`current_shelf`: one per process. Thread-safe."""

    def __init__(self) -> None:
        self.bounds = Bounds()
        self._items: dict[Hashable, Item] = {}
        self._changed = threading.Condition()
        self._watched = False

    def find(self, key: Hashable) -> Item | None:
        """What is there of *key*, not counted as a use of it."""
        with self._changed:
            return self._items.get(key)

    def place(self, key: Hashable, make: Callable[[], T]) -> tuple[T, bool]:
        """What is there of *key*, or what *make* makes now (quickly, with the shelf locked), and whether it is new."""
        with self._changed:
            item = self._items.get(key)
            if item is not None:
                return cast("T", item), False
            made = make()
            leaving = self._pick_surplus(made)
            self._items[key] = made
            if not self._watched:
                self._watched = True
                threading.Thread(target=self._watch, name="container-shelf", daemon=True).start()
            self._changed.notify()
        for each in leaving:
            each.close()
        return made, True

    def drop(self, key: Hashable, item: Item) -> None:
        """Forget *item*, which has ended; the next who asks begins anew."""
        with self._changed:
            if self._items.get(key) is item:
                del self._items[key]

    def clear(self) -> None:
        """End all that is kept ready in this process."""
        with self._changed:
            items = list(self._items.values())
            self._items.clear()
        for each in items:
            each.close()

    def weigh(self) -> None:
        """Give up what was not asked for the longest, as long as all together hold more than they may."""
        with self._changed:
            items = sorted(self._items.values(), key=lambda item: item.used)
        sizes = [(item, item.memory()) for item in items if item.count()]
        held, most = sum(size for _, size in sizes), self.bounds.bytes
        for item, size in sizes:
            if held > most and item.is_free():
                item.give_up(f"what is kept ready may hold {most >> 20} MiB, and this would be more")
                held -= size

    def _pick_surplus(self, new: Item) -> list[Item]:
        """Take out what has to go for *new*: of an image before this one, and the longest unused of too many."""
        free = sorted((pair for pair in self._items.items() if pair[1].is_free()), key=lambda pair: pair[1].used)
        name, image = new.subject
        old = [pair for pair in free if pair[1].subject[0] == name != "" and pair[1].subject[1] != image]
        rest = [pair for pair in free if pair not in old]
        surplus = sum(each.count() for each in self._items.values()) + new.count() - self.bounds.most
        surplus -= sum(item.count() for _, item in old)
        for pair in rest:
            if surplus > 0 and pair[1].count():
                surplus -= pair[1].count()
                old.append(pair)
        for key, _ in old:
            del self._items[key]
        return [item for _, item in old]

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                idle = [pair for pair in self._items.items() if now - pair[1].used >= self.bounds.idle]
                for key, item in idle:
                    if item.is_free():
                        del self._items[key]
                    else:
                        item.used = now  # its forks run
                due = min((item.used for item in self._items.values()), default=now) + self.bounds.idle - now
                leaving = [item for key, item in idle if key not in self._items]
                if not leaving:
                    self._changed.wait(max(0.01, due))
            for item in leaving:
                item.close()
            del leaving, idle  # else they live until the next round


_shelf = Shelf()


def current_shelf() -> Shelf:
    """The one of this process."""
    return _shelf


def _forget() -> None:
    """In a forked child: what is ready is its parent's."""
    global _shelf
    bounds, _shelf = _shelf.bounds, Shelf()
    _shelf.bounds = bounds


os.register_at_fork(after_in_child=_forget)
