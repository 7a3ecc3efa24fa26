"""Locks of specs, those on a Dockerfile included: that has to be built to be locked, which :mod:`..lock` can't do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..image.store import Store
from ..lock.model import Lock, PinnedImage
from ..lock.resolve import check_lock, resolve
from ..lock.settings import Settings
from ..paths import Paths
from ..spec.model import LoadedSpec
from .inputs import hash_paths
from .monitor import Monitor, Progress, silent
from .state import input_memory

if TYPE_CHECKING:
    from ..lock.sdists import SourceMetadata

__all__ = ["find_reasons", "make_lock"]


def find_reasons(loaded: LoadedSpec, lock: Lock, *, paths: Paths) -> tuple[str, ...]:
    """Why *lock* does not fit the spec any more; empty where it does. Asks no network."""
    reasons = check_lock(loaded, lock, paths=paths)
    if reasons or not loaded.spec.build.dockerfile:
        return reasons
    origin = loaded.spec.origin
    then = {item.path: item.sha256 for item in lock.inputs}
    now = hash_paths(loaded, [origin], input_memory(paths))
    if then.get(origin) == now[origin]:
        return ()
    return (f"{loaded.spec.build.dockerfile}, or a file that it takes in, was changed",)


def make_lock(
    loaded: LoadedSpec,
    *,
    paths: Paths,
    settings: Settings,
    previous: Lock | None,
    upgrade: bool | frozenset[str] = False,
    architectures: Sequence[str] = (),
    progress: Progress,
    warn: Callable[[str], None],
    monitor: Monitor = silent,
    cancel: threading.Event | None = None,
    log: str = "",
    ask: bool = True,
) -> Lock:
    """The lock of *loaded*: see :func:`..lock.resolve.resolve`. A Dockerfile is built for it, and sources that do not
    say what they need are asked (not without *ask*: that runs their code); *monitor* follows both.

    Errors are also those of :func:`.dockerfile.builder.build_dockerfile`.
    """
    store = Store(paths.store)

    def from_dockerfile(pins: Sequence[PinnedImage]) -> tuple[str, tuple[PinnedImage, ...]]:
        from .dockerfile.base import build_base

        image, images = build_base(
            loaded, store, paths=paths, settings=settings, monitor=monitor, pins=pins, fresh=bool(upgrade),
            cancel=cancel, log=log,
        )  # fmt: skip
        return image.digest, images

    def from_source(*question: Any) -> SourceMetadata:
        from .asking import make_asker  # late: few sources have to be asked

        return make_asker(loaded, paths=paths, settings=settings, monitor=monitor, log=log)(*question)

    anew = previous is not None and bool(find_reasons(loaded, previous, paths=paths))
    with store.lease():  # holds what the Dockerfile gives until it is looked at
        return resolve(
            loaded, paths=paths, settings=settings, previous=previous, upgrade=upgrade, architectures=architectures,
            progress=progress, warn=warn, cancel=cancel, from_dockerfile=from_dockerfile,
            from_source=from_source if ask else None, anew=anew,
        )  # fmt: skip
