"""A container that was started ahead of need becomes somebody's."""

from __future__ import annotations

from collections.abc import Mapping
from time import time as clock

from ..errors import ContainerError
from .base import ContainerConfig
from .folder import Folder
from .limits import report_limits
from .ownership import unmark_ahead

__all__ = ["claim"]


def claim(folder: Folder, config: ContainerConfig, *, labels: Mapping[str, str], start: str, time: int | None) -> None:
    """As of :meth:`.base.Container.claim`; how long it has been running counts from now."""
    kept = folder.kept()
    if not folder.is_running(kept):
        raise ContainerError(f"container {config.name} has ended before it was needed")
    limits = kept.limits
    if time is not None:
        limits += report_limits(ContainerConfig(image=config.image, argv=(), time=time), None)
    folder.change(labels=dict(labels), start=start, started_at=clock(), limits=limits)
    unmark_ahead(folder.path)
