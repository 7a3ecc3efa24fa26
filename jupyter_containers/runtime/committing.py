"""What a container has changed, as one more layer of its image."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..errors import StoreError
from ..image.bounds import DEFAULT_BOUNDS
from ..image.model import ExecutionConfig, History, Image, Layer
from ..image.progress import Progress, quiet

if TYPE_CHECKING:
    from ..image.store import Store
    from .base import Container
    from .snapshot import Snapshot

__all__ = ["Made", "commit_container", "now"]

_ANY_TIME = 1 << 33
"""Seconds: files keep their times, which the byte code of Python modules beside them refers to."""


class Made(NamedTuple):
    image: Image
    """Without a name: the caller gives it one."""
    layer: Layer | None
    """None: nothing had changed."""
    snapshot: Snapshot


def commit_container(
    store: Store,
    container: Container,
    *,
    execution: Callable[[ExecutionConfig], ExecutionConfig],
    author: str = "",
    comment: str = "",
    progress: Progress = quiet,
) -> Made:
    """Make an image of *container*'s image and what the container has changed; *execution* changes its configuration.

    A running container stands still while its files are copied. :class:`StoreError` where its image has as many layers
    as can be mounted. The caller holds a lease of the container's image.
    """
    image = store.image(container.config.image)
    changed = execution(image.config.execution)
    if len(image.layers) >= DEFAULT_BOUNDS.layers:
        raise StoreError(
            f"{container.config.name}'s image has {len(image.layers)} layers, and no more can be mounted",
            hint="`export` the container and `import` it: the result has one layer",
        )
    created_by = " ".join(container.config.argv)
    with store.staging() as staging:
        snapshot = container.copy_changes(staging.upper, progress=progress)
        layer = None
        progress("making the layer", 0, 0)
        if snapshot.entries:
            layer = store.commit_layer(staging.upper, created_by=created_by, epoch=_ANY_TIME, private=True)
    at = now()
    history = image.config.history
    if history is None:
        history = tuple(History(created_by=each.created_by) for each in image.layers)
    entry = History(created=at, author=author, created_by=created_by, comment=comment, empty_layer=layer is None)
    config = msgspec.structs.replace(
        image.config, created=at, author=author or image.config.author, config=changed, history=(*history, entry),
    )  # fmt: skip
    made = store.put_image(config, (*image.layers, layer) if layer is not None else image.layers)
    return Made(made, layer, snapshot)


def now() -> str:
    """As OCI's documents have it (RFC 3339)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
