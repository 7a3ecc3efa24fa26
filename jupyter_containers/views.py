"""Views: what the program tells of itself, as frozen structs that encode to JSON as they are.

They are the program's data contract: ``--json`` of the command line and the bodies of the REST interface are these,
field by field. Fields are added, never renamed or removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from .build.monitor import Event
from .errors import InputError
from .lock.counting import PackageCounts
from .spec.catalog import Record

if TYPE_CHECKING:
    from .build.history import BuildRecord
    from .build.state import Status
    from .image.model import Image

__all__ = [
    "ACTIVE",
    "BuildState",
    "BuildView",
    "EnvironmentState",
    "EnvironmentView",
    "EventPage",
    "HistoryView",
    "ImageView",
    "JobPage",
    "JobView",
    "LayerView",
    "NumberedEvent",
    "Resolved",
    "StoreSize",
    "build_view",
    "environment_view",
    "image_sizes",
    "image_view",
    "image_views",
    "read_page",
]

EnvironmentState: TypeAlias = Literal["not built", "building", "ready", "out of date", "broken"]
BuildState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ACTIVE: frozenset[BuildState] = frozenset({"queued", "running"})


class EnvironmentView(msgspec.Struct, frozen=True, kw_only=True):
    """A named environment as a person sees it: the catalog's record, its state, and what it takes."""

    name: str
    display_name: str
    language: str
    spec_file: str
    """Absolute path of the file or folder that the spec is read from; empty: an image without a spec."""
    image: str | None
    """Digest of the image built last."""
    built_at: float | None
    """Seconds since the epoch."""
    state: EnvironmentState
    reason: str = ""
    """Why it is in that state, in words, where that is not plain: what changed, what is broken."""
    build_id: str | None = None
    """Of the build under way, or of the last one."""
    phase: str | None = None
    percent: float | None = None
    """0 to 100, where a build is under way and its end can be told."""
    size: int | None = None
    """Bytes of all its layers."""
    own_size: int | None = None
    """Bytes of the layers that no other environment has: what removing it would free."""
    containers: int = 0
    """Running ones made from it."""
    known: bool = True
    """False: only a spec in the server's root folder offers it; a build makes it known."""
    packages: PackageCounts | None = None
    """Those of its lock; None: it has none yet."""
    asks: tuple[str, ...] = ()
    """What a kernel's start may not build before the user has: what it takes beyond their last build, a line each."""


class BuildView(msgspec.Struct, frozen=True, kw_only=True):
    """A build, queued, running or past."""

    id: str
    """Sorts by time."""
    environment: str
    spec_file: str = ""
    state: BuildState
    phase: str | None = None
    percent: float | None = None
    started_at: float | None = None
    """Seconds since the epoch; None: queued."""
    ended_at: float | None = None
    image: str = ""
    """Digest, once done."""
    error: str = ""
    """Why it failed; with ``done``: what could not be done with the image, such as the install of the kernelspec."""
    hint: str = ""


class LayerView(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of an image."""

    diff_id: str
    size: int
    """Bytes of its files."""
    created_by: str
    """What made it: a step's title."""


class ImageView(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the store."""

    digest: str
    references: tuple[str, ...] = ()
    created_at: float
    """Seconds since the epoch: when it came into this store."""
    layers: tuple[LayerView, ...] = ()
    """Lowest first."""
    size: int = 0
    """Bytes of all its layers."""
    own_size: int = 0
    """Bytes of the layers that no other image in the store has."""
    environments: tuple[str, ...] = ()


class HistoryView(msgspec.Struct, frozen=True, kw_only=True):
    """A step of an image's making."""

    created: str = ""
    """A date as of RFC 3339; empty where it is not told."""
    created_by: str = ""
    comment: str = ""
    diff_id: str = ""
    """Of the layer that it left; empty: it left none."""
    size: int = 0
    """Bytes of that layer's files."""


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer, or other long work that is no build."""

    id: str
    """Sorts by time."""
    kind: str
    """``pull``, ``push``, ``load``, ``add``, ``names``, ``open``."""
    title: str
    """What it does, in words."""
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    phase: str = ""
    percent: float | None = None
    """0 to 100, where its end can be told."""
    queued_at: float
    """Seconds since the epoch."""
    started_at: float | None = None
    ended_at: float | None = None
    notes: tuple[str, ...] = ()
    """What deserves a look and stops nothing."""
    error: str = ""
    """Why it failed."""
    hint: str = ""
    result: dict[str, Any] | None = None
    """What came of it, by kind."""
    alone: str = ""
    """No other job of the same word runs beside it."""
    version: int = 0
    """Raised by every change."""


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """A job, as a step of following it."""

    view: JobView
    has_news: bool
    ended: bool


class StoreSize(msgspec.Struct, frozen=True, kw_only=True):
    """What the store takes of its disk."""

    path: str
    bytes: int
    """On disk, what images share counted once."""
    free: int
    """Of its file system, for this user."""


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """What a reference of the user's stands for."""

    reference: str
    """As the user wrote it."""
    image: str
    """Digest."""
    environment: Record | None = None
    """None: an image without an environment."""


class NumberedEvent(msgspec.Struct, frozen=True):
    position: int
    """Where to go on after this event: hand it to :meth:`Environments.read_events`."""
    event: Event


class EventPage(msgspec.Struct, frozen=True):
    """Some events of a build, in order."""

    events: tuple[NumberedEvent, ...]
    position: int
    ended: bool
    """Nothing more will come."""

    @property
    def has_news(self) -> bool:
        return bool(self.events)


def environment_view(
    entry: Record,
    status: Status,
    *,
    queued: str | None,
    size: tuple[int, int] | tuple[None, None],
    containers: int,
    known: bool = True,
    packages: PackageCounts | None = None,
    asks: tuple[str, ...] = (),
) -> EnvironmentView:
    """*queued*: the id of this process's build of it; *size*: as of :func:`image_sizes`."""
    return EnvironmentView(
        name=entry.name,
        display_name=entry.display_name,
        language=entry.language,
        spec_file=entry.spec_file,
        image=entry.image,
        built_at=entry.built_at,
        state="building" if queued else status.state,
        reason=status.reason,
        build_id=queued or status.build_id,
        phase=status.phase or None,
        percent=status.percent,
        size=size[0],
        own_size=size[1],
        containers=containers,
        known=known,
        packages=packages,
        asks=asks,
    )


def image_sizes(images: Sequence[Image]) -> dict[str, tuple[int, int]]:
    """By digest: bytes of all layers, and of those that no other of *images* has."""
    users = Counter(diff_id for image in images for diff_id in {layer.diff_id for layer in image.layers})
    return {
        image.digest: (
            sum(layer.size for layer in image.layers),
            sum(layer.size for layer in image.layers if users[layer.diff_id] == 1),
        )
        for image in images
    }


def image_views(images: Sequence[Image], entries: Iterable[Record]) -> tuple[ImageView, ...]:
    """Views of all *images* of a store, in their order, with the names of the environments among *entries*."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        if entry.image:
            names.setdefault(entry.image, []).append(entry.name)
    sizes = image_sizes(images)
    return tuple(image_view(image, sizes[image.digest], names.get(image.digest, ())) for image in images)


def image_view(image: Image, size: tuple[int, int], environments: Iterable[str]) -> ImageView:
    return ImageView(
        digest=image.digest,
        references=image.references,
        created_at=image.created,
        layers=tuple(
            LayerView(diff_id=layer.diff_id, size=layer.size, created_by=layer.created_by) for layer in image.layers
        ),
        size=size[0],
        own_size=size[1],
        environments=tuple(environments),
    )


def build_view(entry: BuildRecord) -> BuildView:
    """The view of a build's record on disk."""
    return BuildView(
        id=entry.id,
        environment=entry.name,
        spec_file=entry.spec_file,
        state=entry.state,
        phase=entry.phase or None,
        percent=entry.percent,
        started_at=entry.started_at,
        ended_at=entry.ended_at,
        image=entry.image,
        error=entry.error,
        hint=entry.hint,
    )


def read_page(file: Path, position: int, *, max_bytes: int = 256 << 10) -> EventPage:
    """The events of *file* (a JSON line each) from byte *position* on; ``ended``: there was nothing more in it.

    A line that is still being written is left for the next page. :class:`InputError` where *position* is not one
    that an earlier page gave.
    """
    try:
        with file.open("rb") as stream:
            if position:
                stream.seek(position - 1)
                if stream.read(1) != b"\n":
                    raise InputError(f"{position} is not the position of an event of this build", hint="begin with 0")
            data = stream.read(max_bytes)
            if b"\n" not in data:
                data += stream.readline()  # a single line longer than a page
    except FileNotFoundError:
        data = b""  # queued: nothing was said yet
    events = []
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        position += len(line)
        events.append(NumberedEvent(position, msgspec.json.decode(line, type=Event)))
    return EventPage(tuple(events), position, ended=not events)
