"""What the host's disk decides of a sandbox before bwrap's options can be written."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from ..errors import HostError
from .merging import fit
from .model import Bind, Sandbox, Tmpfs, Volume
from .targets import View, find, find_folders, is_opaque, is_whiteout

__all__ = ["by_depth", "prepare", "read_only_folders"]

_SYSTEM = ("/proc", "/dev", "/run", "/sys")
"""What every sandbox gets from bwrap."""


def prepare(sandbox: Sandbox) -> Sandbox:
    """The same sandbox with all that the host's disk decides: layers that can be mounted together (:mod:`.merging`),
    targets without links (:mod:`.targets`), and of what the read-only folders are made. Later the paths may be those
    of a stage, which only bwrap sees."""
    # A layer that occurs twice (two steps with one result) counts where it is on top; overlayfs refuses the other.
    layers = fit(sandbox, tuple(reversed(dict.fromkeys(reversed(sandbox.root.layers)))))
    roots = [*([sandbox.root.upper] if sandbox.root.upper else []), *reversed(layers)]
    mounts: dict[str, Sequence[Path]] = {"/": roots, **dict.fromkeys(_SYSTEM, ())}
    _check_system_folders(roots)
    binds: list[Bind] = []
    folders: list[Tmpfs] = []
    volumes: list[Volume] = []
    for each in by_depth(sandbox):
        target = View(mounts).resolve(each.target)
        if isinstance(each, Tmpfs):
            folders.append(each._replace(target=target))
            mounts[target] = ()
        elif isinstance(each, Volume):
            parts = find_folders(tuple(reversed(layers)), target.strip("/"))
            volumes.append(each._replace(target=target, layers=tuple(reversed(parts))))
            mounts[target] = (each.upper, *parts)
        elif not (each.optional and not each.source.exists()):
            binds.append(each._replace(target=target))
            mounts[target] = (each.source,)
    view = View(mounts)
    files = {view.resolve(target): content for target, content in sandbox.files.items()}
    made = [*(bind.target for bind in binds), *(folder.target for folder in folders)]
    targets = [*made, *(volume.target for volume in volumes), *files]
    possible, _ = read_only_folders(layers, sandbox.read_only, targets=targets)
    root = sandbox.root._replace(layers=layers, read_only=possible)
    return sandbox._replace(root=root, binds=tuple(binds), tmpfs=tuple(folders), volumes=tuple(volumes), files=files)


def _check_system_folders(roots: Sequence[Path]) -> None:
    """bwrap would follow a link at one of these while the host is still in reach, and mount it somewhere else."""
    for name in _SYSTEM:
        if View({"/": roots}).resolve(name) != name:
            raise HostError(f"the image has a symbolic link at {name}", hint=f"make {name} a folder in the image")


def read_only_folders(
    layers: Sequence[Path], names: Sequence[str], *, targets: Sequence[str] = ()
) -> tuple[dict[str, tuple[Path, ...]], dict[str, str]]:
    """Which top-level folders can have a read-only overlay of their own, and why the others can't.

    Returns ``({"/usr": (lowest … topmost)}, {"/srv": reason})``. Possible where the folder is a plain directory in
    every layer that counts: a removed or replaced one would come back otherwise. And not where a mount point of
    *targets* is missing in it, which could not be made.
    """
    possible: dict[str, tuple[Path, ...]] = {}
    impossible: dict[str, str] = {}
    for name in names:
        parts: list[Path] = []
        reason = ""
        for layer in reversed(layers):
            place = layer / name.lstrip("/")
            try:
                status = place.lstat()
            except FileNotFoundError:
                continue
            if is_whiteout(status):
                break
            if not stat.S_ISDIR(status.st_mode):
                reason = "it is not a plain directory in the image"
                break
            parts.append(place)
            if is_opaque(place):
                break
        for target in targets:
            inside = target.removeprefix(f"{name}/")
            if inside != target and find([*parts], inside) is None:
                reason = reason or f"the mount point {target} has to be made in it"
        if reason:
            impossible[name] = reason
        elif parts:
            possible[name] = tuple(reversed(parts))
        else:
            impossible[name] = "the image does not have it"
    return possible, impossible


def by_depth(sandbox: Sandbox) -> list[Bind | Tmpfs | Volume]:
    """Parents before what lies in them, else in the order given."""
    mounts: list[Bind | Tmpfs | Volume] = [*sandbox.tmpfs, *sandbox.volumes, *sandbox.binds]
    return sorted(mounts, key=lambda mount: len([part for part in mount.target.split("/") if part]))
