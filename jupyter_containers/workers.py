"""A few threads for long work: tasks wait their turn, and can be taken out again while they wait.

The threads are daemons: a process that ends does not wait for a download that hangs, and the store is whole at any
moment.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Task", "Workers"]

Task: TypeAlias = Callable[[], None]
"""Raises nothing: nobody would see it."""


class Workers:
    """Owner of the threads, which are there only while there is work.

    :param limit: tasks at work at once.
    """

    def __init__(self, limit: int, *, name: str) -> None:
        self._limit, self._name = limit, name
        self._queue: deque[Task] = deque()
        self._threads: set[threading.Thread] = set()
        self._guard = threading.Lock()

    def submit(self, task: Task) -> None:
        with self._guard:
            self._queue.append(task)
            if len(self._threads) < self._limit:
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._threads.add(thread)
                thread.start()

    def withdraw(self, task: Task) -> bool:
        """Take *task* out of the queue; False where it is at work or done."""
        with self._guard:
            waits = task in self._queue
            if waits:
                self._queue.remove(task)
            return waits

    def join(self, *, patience: float) -> None:
        """Wait until all work is done, *patience* seconds at most."""
        end = time.monotonic() + patience
        for thread in list(self._threads):
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while True:
            with self._guard:
                if not self._queue:
                    self._threads.discard(threading.current_thread())
                    return
                task = self._queue.popleft()
            task()
