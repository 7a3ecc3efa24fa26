"""All running containers measured at one look, again and again: what a server does for its page, and `stats`.

What does not change while a container runs is read at the first look, and the files of its control group stay open.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from ..errors import NotFoundError
from .base import ContainerConfig, ContainerState, Stats
from .folder import Folder, read_config
from .tally import Tally
from .usage import Sample, Source, tell

__all__ = ["BundledMeter"]


class _Measured(NamedTuple):
    folder: Folder
    config: ContainerConfig
    source: Source
    started_at: float | None
    """The start that *source* is of."""
    sample: Sample | None


class BundledMeter:
    """As of :class:`.base.Meter`."""

    def __init__(self, containers: Path) -> None:
        self._containers = containers
        self._lock = threading.Lock()
        self._tally = Tally()
        self._measured: dict[str, _Measured] = {}
        self._closed = False

    def read(self, states: Iterable[ContainerState]) -> list[Stats]:
        with self._lock:
            if self._closed:
                return []
            self._tally.renew()
            before, self._measured = self._measured, {}
            room, found = self._find_room(before.values()), []
            try:
                for state in states:
                    if state.pid is None or state.id in self._measured:
                        continue
                    known = before.get(state.id)
                    if known is None or (known.started_at, known.source.first) != (state.started_at, state.pid):
                        known = self._find(state, state.pid)
                        if known is None:
                            continue
                    else:
                        del before[state.id]
                    self._measured[state.id] = known
                    had = known.source.files
                    sample = known.source.sample(self._tally, keep=had > 0 or room > 0)
                    room -= known.source.files - had
                    if sample is None:
                        continue
                    self._measured[state.id] = known._replace(sample=sample)
                    found.append(
                        tell(
                            known.folder, known.config, sample, known.sample,
                            started_at=known.started_at or state.created_at,
                        )
                    )  # fmt: skip
            finally:
                _let_go(before)
            return found

    def close(self) -> None:
        with self._lock:
            self._closed = True
            measured, self._measured = self._measured, {}
            _let_go(measured)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _find_room(self, measured: Iterable[_Measured]) -> int:
        """How many more files may stay open; what is too much already is closed.

        Of three quarters of what this process may have open, that which others in it leave.
        """
        room = _limit_of_descriptors() * 3 // 4 - _count_descriptors()
        for item in measured:
            if room >= 0:
                break
            room += item.source.files
            item.source.close()
        return room

    def _find(self, state: ContainerState, first: int) -> _Measured | None:
        folder = Folder(self._containers / state.id)
        with suppress(NotFoundError):  # it has been removed
            return _Measured(folder, read_config(folder), Source(folder.path, first), state.started_at, None)
        return None


def _limit_of_descriptors() -> int:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


def _count_descriptors() -> int:
    """Those that this process has open."""
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))  # noqa: PTH116  told since Linux 6.2


def _let_go(measured: dict[str, _Measured]) -> None:
    for item in measured.values():
        item.source.close()
