"""Several transfers at a time, all of which end when one fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from ..errors import CancelledError

__all__ = ["run_all"]

_T = TypeVar("_T")


def run_all(jobs: Sequence[Callable[[], _T]], *, parallel: int, stop: threading.Event) -> list[_T]:
    """What the jobs give, in their order. The first error is raised, after *stop* is set and the others have ended."""
    if not jobs:
        return []
    with ThreadPoolExecutor(max(1, min(parallel, len(jobs))), "transfer") as pool:
        futures = [pool.submit(job) for job in jobs]
        pending: set[Future[_T]] = set(futures)
        try:
            while pending and not _failed(futures):
                # A time-out lets Ctrl-C through while threads are at work.
                _, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
        finally:
            if pending or _failed(futures):
                stop.set()
                for future in pending:
                    future.cancel()
    errors = _failed(futures)
    # The others were stopped because of the one that failed by itself.
    for error in sorted(errors, key=lambda error: isinstance(error, CancelledError)):
        raise error
    return [future.result() for future in futures]


def _failed(futures: Sequence[Future[_T]]) -> list[BaseException]:
    done = [future for future in futures if future.done() and not future.cancelled()]
    return [error for future in done if (error := future.exception()) is not None]
