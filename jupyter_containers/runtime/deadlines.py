"""When containers have had their time. Few imports: the monitor tells it in the same words."""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .charge import Charge

__all__ = ["Deadlines", "told"]


class Deadlines:
    """The keeper's: it sleeps until the next, and is woken for one that comes before that."""

    def __init__(self) -> None:
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Readable when there is a new one."""
        self._heap: list[tuple[float, int, Charge]] = []
        self._numbers = itertools.count()
        self._guard = threading.Lock()

    def add(self, seconds: float, charge: Charge) -> None:
        """From any thread."""
        with self._guard:
            heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._numbers), charge))
        os.eventfd_write(self.wake, 1)

    def woken(self) -> None:
        try:
            os.eventfd_read(self.wake)
        except BlockingIOError:
            return

    def due(self) -> float | None:
        """Seconds until the next; None: there is none. Those of containers that have ended are left out."""
        with self._guard:
            while self._heap and self._heap[0][2].ended.is_set():
                heapq.heappop(self._heap)
            return max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None

    def passed(self) -> list[Charge]:
        """Those whose time has come, once."""
        found = []
        now = time.monotonic()
        with self._guard:
            while self._heap and self._heap[0][0] <= now:
                found.append(heapq.heappop(self._heap)[2])
        return found


def told(seconds: int) -> str:
    """Why a container was ended."""
    from ..spec.durations import format_duration  # late: needed once, at the end

    return f"out of time (limit {format_duration(seconds)})"
