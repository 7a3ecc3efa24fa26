"""What a build says while it works: events, and those who listen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

__all__ = ["Event", "Monitor", "Phase", "Progress", "silent"]

Phase: TypeAlias = Literal[
    "waiting",
    "resolving",
    "planning",
    "downloading",
    "unpacking",
    "configuring",
    "installing",
    "compiling",
    "copying",
    "running",
    "committing",
    "done",
    "failed",
    "cancelled",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message. The union of all kinds, so that a JSON line of it reads the same in a log and on the wire."""

    kind: Literal["phase", "step", "progress", "output", "result"]
    time: float = msgspec.field(default_factory=time.time)
    """Seconds since the epoch."""
    phase: Phase | None = None
    step: str = ""
    """The step's title: ``apt: graphviz, openssh-client``."""
    step_id: str = ""
    cached: bool = False
    done: int = 0
    total: int = 0
    """0: not known."""
    unit: Literal["", "bytes", "items"] = ""
    text: str = ""
    """One line of output (may hold control characters: render as text), or a message."""
    image: str = ""
    """With kind ``result``: the image's digest."""
    error: str = ""
    hint: str = ""


Monitor: TypeAlias = Callable[[Event], None]
"""Called from the building threads, in order per step; must not raise and must not block for long."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""What, how much of it is done, of how much (0: not known). Called from any thread."""


def silent(event: Event) -> None:
    """A monitor that listens to nothing."""
