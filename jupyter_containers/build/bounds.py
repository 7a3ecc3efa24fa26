"""Bounds on steps that run a user's or a package's code."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InputError
from ..sandbox.model import Limits
from ..spec.sizes import parse_size

__all__ = ["Bounds", "read_bounds"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one step may use."""

    memory: int | None = None
    """Bytes; None: as much as there is."""
    pids: int | None = 8192
    seconds: float = 7200.0

    @property
    def limits(self) -> Limits:
        return Limits(memory=self.memory, pids=self.pids)


def read_bounds(environ: Mapping[str, str]) -> Bounds:
    """Bounds of steps that run foreign code: ``JUPYTER_CONTAINERS_BUILD_MEMORY`` (``4G``) and ``…_BUILD_TIMEOUT``
    (seconds)."""
    memory = environ.get("JUPYTER_CONTAINERS_BUILD_MEMORY", "")
    seconds = environ.get("JUPYTER_CONTAINERS_BUILD_TIMEOUT", "")
    bounds = Bounds()
    try:
        if memory:
            bounds = dataclasses.replace(bounds, memory=parse_size(memory))
        if seconds:
            bounds = dataclasses.replace(bounds, seconds=float(seconds))
    except ValueError as error:
        raise InputError(f"the bounds of builds in the environment are not well formed: {error}") from error
    return bounds
