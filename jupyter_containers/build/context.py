"""What the steps of one build share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from ..image.model import History, Image, Layer
from ..image.store import Store
from ..lock.settings import Settings
from ..spec.model import LoadedSpec
from .bounds import Bounds
from .downloads import Downloads
from .report import Reporter

__all__ = ["Context", "State"]


@dataclass(slots=True)
class State:
    """The image as far as it has come."""

    layers: list[Layer] = field(default_factory=list)
    """Lowest first."""
    history: list[History] = field(default_factory=list)
    """A text for each layer. Not the layers' own: two steps that give the same bytes share a layer."""
    base: Image | None = None
    """The image that was started from, where it was one."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that steps so far have set: PATH and VIRTUAL_ENV of the virtual environment."""

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(layer.path for layer in self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    loaded: LoadedSpec
    settings: Settings
    store: Store
    downloads: Downloads
    state: State
    architecture: str
    bounds: Bounds
    reporter: Reporter
    """Of the step at work."""
    cancel: threading.Event
