"""Threads that do blocking work for an event loop and are still there while the interpreter shuts down."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Worker", "run_in_thread", "starter", "worker"]

T = TypeVar("T")

_AT_ONCE = 8
"""Containers that are ended at once."""


class Worker:
    """A few daemon threads that run what they are given, begun in order; another one only where all are at work.

    Not a :class:`~concurrent.futures.ThreadPoolExecutor`: that one takes no work once the interpreter has begun to shut
    down, and nbclient shuts its kernels down in an ``atexit`` function.
    """

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._name, self._free = name, threads
        """Threads that may still be started."""
        self._idle = threading.Semaphore(0)
        self._guard = threading.Lock()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._tasks.put((future, call))
        if not self._idle.acquire(blocking=False):
            with self._guard:
                if self._free:
                    self._free -= 1
                    threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return future

    async def run(self, call: Callable[[], T]) -> T:
        """Run *call* in the thread and await its result."""
        return await asyncio.wrap_future(self.submit(call))

    def _work(self) -> None:
        while True:
            try:
                future, call = self._tasks.get_nowait()
            except queue.Empty:
                self._idle.release()
                future, call = self._tasks.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del future, call  # else the last result lives until the next task


async def run_in_thread(call: Callable[[], T], *, name: str) -> T:
    """Run *call*, which may take minutes, in a daemon thread of its own and await its result."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=work, name=name, daemon=True).start()
    # Shielded: a result for a future that its waiter has cancelled would be an InvalidStateError in the thread.
    return await asyncio.shield(asyncio.wrap_future(future))


_workers: dict[tuple[int, str], Worker] = {}
_guard = threading.Lock()


def starter() -> Worker:
    """The thread that starts containers, one per process; kept apart from :func:`worker`, whose removal of a large
    writable layer must not hold up a start."""
    return _worker("kernel-starter")


def worker() -> Worker:
    """The threads that kill and remove containers: most of that is waiting for the kernel of the host, so that many
    end as quickly as few."""
    return _worker("kernel-worker", threads=_AT_ONCE)


def _worker(name: str, *, threads: int = 1) -> Worker:
    key = (os.getpid(), name)  # threads don't survive a fork
    with _guard:
        found = _workers.get(key)
        if found is None:
            found = _workers[key] = Worker(name, threads=threads)
        return found
