"""A container that this process keeps."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import msgspec

from ..sandbox.life import Running
from .disk import DiskWatch
from .folder import Folder
from .log import Log

__all__ = ["Charge"]


class Charge(msgspec.Struct, eq=False):
    """What :class:`.keeper.Keeper` needs to look after one container; only it writes the fields."""

    folder: Folder
    process: Running
    start: int
    """Start time of the outer process."""
    held: ExitStack
    """What is let go at the end: the folder's lock, the image's lease."""
    remove: bool
    lasting: bool = False
    """Its folder, once it has ended, is still to be removed when this process is killed (kernels)."""
    output: int | None = None
    """Reading end of the pipe of its output; None: its output goes elsewhere."""
    log: Log | None = None
    watch: DiskWatch | None = None
    time: int | None = None
    """Seconds that it may run."""
    scratch: tuple[str, ...] = ()
    """Folders of the host that it makes its sockets in."""
    reason: str = ""
    """Why we ended it, where we did."""
    exit_code: int | None = None
    cause: str = ""
    ended: threading.Event = msgspec.field(default_factory=threading.Event)
    """Set when the end is written (and the container removed, where that was asked for)."""
    waits: set[int] = msgspec.field(default_factory=set)
    """Descriptors of its processes that have not ended yet."""
