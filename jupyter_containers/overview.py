"""All environments, builds, images and containers at one look, for those who look again and again.

A page that shows them follows every change, with hundreds of each. So what was found is kept with the identity of the
files that it was read from, and read again when one of them is another: a look where nothing has changed asks for file
times and for which processes live.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from .spec.catalog import Record, list_records
from .views import BuildView, EnvironmentView, ImageView, environment_view, image_sizes, image_views

if TYPE_CHECKING:
    from .build.history import BuildRecord
    from .build.state import Examined, Status
    from .builds import Builds
    from .directory import Directory
    from .image.model import Image
    from .image.store import Store
    from .runtime.base import ContainerState, Runtime

__all__ = ["Look", "Overview"]

_SETTLED = 0.1
"""Seconds since the last change of a file after which its times tell a later change: clocks of file systems are as
coarse as the kernel's tick."""

_SHALLOW, _DEEP = 60.0, 5.0
"""Seconds after which an environment is examined again whatever its files' times say; the second where more than these
has a say."""

_TRIES = 3
"""Looks at environments while builds come and go."""

_MOST = 5000
"""Environments that are remembered."""

T = TypeVar("T")

Marks: TypeAlias = tuple[tuple[int, ...] | None, ...]
"""The identities of some files, None for one that is not there."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What there is at one moment."""

    environments: dict[str, EnvironmentView]
    """By name."""
    builds: dict[str, BuildView]
    """By id, newest first."""
    images: dict[str, ImageView]
    """By digest, newest first."""
    containers: dict[str, ContainerState]
    """By id, newest first; ended ones too."""


class _Known(msgspec.Struct, frozen=True):
    entry: Record
    examined: Examined
    asks: tuple[str, ...]
    marks: Marks
    until: float
    """Of a clock that does not jump."""


class Overview:
    """Looks, and remembers. May be used by several threads; one looks at a time."""

    def __init__(self, directory: Directory, store: Store, builds: Builds, runtime: Callable[[], Runtime]) -> None:
        self._paths, self._directory = directory.paths, directory
        self._store, self._builds, self._runtime = store, builds, runtime
        self._guard = threading.Lock()
        self._remembered: dict[str, tuple[Marks, Any]] = {}
        self._examined: dict[str, _Known] = {}
        self._ended: dict[str, BuildRecord] = {}

    def look(self) -> Look:
        """Everything, as it is now."""
        with self._guard:
            containers = self._runtime().list(all=True)
            views, builds = self._environments(None, containers)
            images = self._images()
            return Look(
                environments=views,
                builds={view.id: view for view in builds},
                images={view.digest: view for view in image_views(images, self._records())},
                containers={state.id: state for state in containers},
            )

    def environments(self, names: Iterable[str] | None = None) -> tuple[EnvironmentView, ...]:
        """By name: all, or those of *names*."""
        with self._guard:
            views, _ = self._environments(None if names is None else set(names), self._runtime().list())
            return tuple(views.values())

    def _environments(
        self, names: set[str] | None, containers: Sequence[ContainerState]
    ) -> tuple[dict[str, EnvironmentView], Sequence[BuildView]]:
        """Those of *names*, None for all, and the builds. A build that began or ended meanwhile has left a lock that
        nobody seems to have agreed to: then it is looked once more, and the last time what there is has to do."""
        builds = self._builds.list(known=self._ended)
        for _ in range(_TRIES):
            known = self._records()
            records = (*known, *self._directory.offers(known))
            if names is not None:
                records = tuple(entry for entry in records if entry.name in names)
            views = self._views(records, builds, self._images(), containers) if records else {}
            if not _ask(views):
                break
            before, builds = builds, self._builds.list(known=self._ended)
            if [(view.id, view.state) for view in before] == [(view.id, view.state) for view in builds]:
                break
        return views, builds

    # What is remembered

    def _records(self) -> tuple[Record, ...]:
        return self._remember("records", (self._paths.environments,), lambda: list_records(self._paths))

    def _images(self) -> tuple[Image, ...]:
        # Each of these folders gets a new entry, or loses one, with every change of what is in it.
        folders = [self._store.folder(name) for name in ("images", "refs", "layers", "l", "blobs")]
        return self._remember("images", folders, self._store.images)

    def _remember(self, what: str, files: Sequence[Path], read: Callable[[], T]) -> T:
        marks = _marks(files)
        known = self._remembered.get(what)
        if known is not None and known[0] == marks:
            kept: T = known[1]
            return kept
        now = time.time()
        found = read()
        self._remembered.pop(what, None)
        if _are_settled(marks, now):
            self._remembered[what] = marks, found
        return found

    def _views(
        self,
        records: Sequence[Record],
        builds: Sequence[BuildView],
        images: Sequence[Image],
        containers: Sequence[ContainerState],
    ) -> dict[str, EnvironmentView]:
        running = Counter(state.image_name for state in containers if state.status in ("running", "paused"))
        used = {entry.image for entry in records}
        present = {image.digest: image for image in images if image.digest in used}
        sizes = image_sizes(list(present.values()))
        known = {entry.name for entry in self._records()}
        views = {}
        for entry in sorted(records, key=lambda entry: entry.name):
            examined, asks = self._examine(entry, present)
            views[entry.name] = environment_view(
                entry,
                _find_building(entry, builds) or examined.status,
                queued=self._builds.active(entry.name),
                size=sizes.get(entry.image or "", (None, None)),
                containers=running[entry.name],
                known=entry.name in known,
                packages=examined.packages,
                asks=asks,
            )
        return views

    def _examine(self, entry: Record, present: Mapping[str, Image]) -> tuple[Examined, tuple[str, ...]]:
        from .build.asks import find_asks
        from .build.state import examine

        if len(self._examined) > _MOST:
            self._examined.clear()  # of environments that are no more
        now = time.monotonic()
        known = self._examined.get(entry.name)
        if known is not None and known.entry == entry and now < known.until:
            gone = entry.image is not None and known.examined.status.state != "broken" and entry.image not in present
            if not gone and _marks(known.examined.files) == known.marks:
                return known.examined, known.asks
        began = time.time()
        examined = examine(entry, self._paths)
        asks = find_asks(entry, self._paths) if entry.spec_file and examined.status.state != "ready" else ()
        marks = _marks(examined.files)
        lasts = (_DEEP if examined.deep else _SHALLOW) if _are_settled(marks, began) else 0.0
        # Not all of 200 environments in the same look again.
        until = now + lasts * (0.5 + hash(entry.name) % 512 / 1024)
        self._examined[entry.name] = _Known(entry, examined, asks, marks, until)
        return examined, asks


def _find_building(entry: Record, builds: Sequence[BuildView]) -> Status | None:
    from .build.state import Status

    for view in builds:
        if view.environment == entry.name and view.state == "running":
            return Status(state="building", build_id=view.id, phase=view.phase or "", percent=view.percent)
    return None


def _ask(views: Mapping[str, EnvironmentView]) -> bool:
    return any(view.asks and view.state != "building" for view in views.values())


def _marks(files: Iterable[Path]) -> Marks:
    found: list[tuple[int, ...] | None] = []
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116  a thousand of them at a look
            found.append((status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def _are_settled(marks: Marks, now: float) -> bool:
    """Whether a change after *now* (seconds since the epoch) would show in *marks*."""
    return all(mark is None or mark[2] < (now - _SETTLED) * 1e9 for mark in marks)
