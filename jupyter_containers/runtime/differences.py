"""What a container changed against its image, without what was made for it to run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .base import Change, ContainerConfig
from .translate import GENERATED, HOME

__all__ = ["leave_out", "list_changes"]


def list_changes(layers: Sequence[Path], upper: Path, config: ContainerConfig) -> tuple[Change, ...]:
    """By path."""
    from ..sandbox.overlay import changes  # late: only `diff` wants it

    found = [Change(kind=kind, path=path) for kind, path in changes(layers, upper)]
    return leave_out(found, (*GENERATED, *(mount.target for mount in config.mounts), HOME, config.cwd))


def leave_out(found: Iterable[Change], made: Iterable[str]) -> tuple[Change, ...]:
    """*found* without the mount points and folders that the runtime makes, and without a folder that counts as changed
    for their sake alone. Pure."""
    ours = {path.rstrip("/") for path in made if path.startswith("/")}
    kept: list[Change] = []
    # From the end: a folder comes before what is in it, and stays only where something in it does.
    for change in sorted(found, key=lambda change: change.path, reverse=True):
        above = change.path.rstrip("/") + "/"
        if (
            any(other.path.startswith(above) for other in kept)
            or change.kind == "D"
            or not any(path == change.path or path.startswith(above) for path in ours)
        ):
            kept.append(change)
    return tuple(reversed(kept))
