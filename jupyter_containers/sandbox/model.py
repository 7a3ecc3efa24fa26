"""What a sandbox is made of, as frozen values. :mod:`.bwrap` turns them into an argument vector (pure),
:mod:`.process` starts it.

Named tuples, as in all of this room that a start needs: a frozen dataclass costs three times as much to define, and
twenty of them were a tenth of what `run` took.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

__all__ = ["NOTHING", "Bind", "FilterName", "Limits", "Overlay", "Sandbox", "Tmpfs", "Volume"]

FilterName: TypeAlias = Literal["container", "build", "forkserver"]

NOTHING: Mapping[str, Any] = MappingProxyType({})
"""The default of fields that are mappings."""


class Bind(NamedTuple):
    """A host path made visible. Files made there belong to the user who owns ``source`` (see :mod:`.idmap`)."""

    source: Path
    target: str
    writable: bool = False
    device: bool = False
    optional: bool = False
    resolved: bool = False
    """``source`` has been checked and holds no symbolic link; one that has come since refuses the start."""


class Tmpfs(NamedTuple):
    target: str
    size: int | None = None
    """Bytes; None: the kernel's default, half of the memory."""
    mode: int = 0o755


class Volume(NamedTuple):
    """A folder with a writable layer of its own over what the root's layers have at ``target``.

    ``upper`` and ``work`` are as those of :class:`Overlay`, and lie in the sandbox's store.
    """

    target: str
    upper: Path
    work: Path
    layers: tuple[Path, ...] = ()
    """What the root's layers have there, lowest first; filled in by ``bwrap.prepare``."""


class Overlay(NamedTuple):
    """The root: read-only ``layers``, lowest first, under a writable ``upper``.

    ``upper`` and ``work`` are of one file system, not themselves an overlay, and never shared by two sandboxes.
    With ``upper`` None writes go nowhere: the root is read-only. With ``layers`` empty ``upper`` is bound as it is.
    """

    layers: tuple[Path, ...]
    upper: Path | None = None
    work: Path | None = None
    read_only: Mapping[str, tuple[Path, ...]] = NOTHING
    """Folders with a read-only overlay of their own and what they are made of; filled in by ``bwrap.prepare``."""


class Limits(NamedTuple):
    """None: not limited."""

    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    open_files: int | None = None
    file_size: int | None = None


class Sandbox(NamedTuple):
    """One sandbox: what runs in it, what it sees, who it is, what it may use."""

    argv: tuple[str, ...]
    root: Overlay
    store: Path
    """The folder that ``root``'s paths lie in: one mount, shifted as a whole when the caller is root. Layers may lie
    elsewhere, each then on a mount of its own."""
    env: Mapping[str, str] = NOTHING
    """All of the environment; nothing is inherited."""
    cwd: str = "/"
    uid: int = 1000
    gid: int = 1000
    hostname: str = "container"
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    volumes: tuple[Volume, ...] = ()
    files: Mapping[str, bytes] = NOTHING
    """Small generated files by path in the sandbox (/etc/hosts), read-only, never written to the upper layer."""
    read_only: tuple[str, ...] = ()
    """Top-level folders of the root that get a read-only overlay of their own (``/usr``)."""
    network: Literal["none", "full"] = "none"
    filter: FilterName = "container"
    """Which system call filter: the restrictive one, the one that emulates root for package managers, or that of a
    fork server, whose forks make namespaces of their own."""
    limits: Limits = Limits()
    die_with_parent: bool = True
    """Killed when the *thread* that started it ends (PR_SET_PDEATHSIG): start it from one that lives long enough."""
    new_session: bool = True
    """No controlling terminal; False only where the sandbox gets a pseudo-terminal of its own."""
    pid_1: bool = False
    """argv is itself pid 1 (an init); else bwrap's own reaper is."""
