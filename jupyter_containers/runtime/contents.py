"""The files of a container, running or at rest: what has changed in them, and its root to read and write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ContainerError
from ..image.model import Image
from ..image.progress import Progress, quiet
from ..sandbox.difference import changes
from ..sandbox.idmap import UNPRIVILEGED_ID, is_needed
from ..sandbox.model import Sandbox
from ..sandbox.preparation import read_only_folders
from ..sandbox.targets import View
from .base import Change
from .folder import Folder, Kept, scope
from .freezing import frozen
from .places import FOLDER, FolderPlace, Place
from .rest import open_rest
from .snapshot import Snapshot
from .snapshot import copy_changes as copy_snapshot

__all__ = ["copy_changes", "list_changes", "open_root"]


def list_changes(folder: Folder, image: Image, sandbox: Sandbox) -> tuple[Change, ...]:
    """As of :meth:`.base.Container.changes`. *sandbox* tells what is mounted."""
    found = changes(image.layer_paths, folder.upper, mounts=_mounts(folder, image, sandbox))
    return tuple(Change(kind=kind, path=path) for kind, path in found)


def copy_changes(
    folder: Folder, image: Image, sandbox: Sandbox, target: Path, *, progress: Progress = quiet
) -> Snapshot:
    """As of :meth:`.base.Container.copy_changes`."""
    what = f"container {folder.config().name}"
    mounts = _mounts(folder, image, sandbox)
    try:
        with _standing_still(folder):
            return copy_snapshot(image.layer_paths, folder.upper, target, mounts=mounts, what=what, progress=progress)
    except FileNotFoundError as error:
        folder.kept()  # raises where it has been removed meanwhile
        raise ContainerError(f"{what}: {error.filename} is gone", hint="try again") from error


@contextmanager
def open_root(folder: Folder, image: Image, sandbox: Sandbox) -> Iterator[Place]:
    """As of :meth:`.base.Container.open_root`. *sandbox* tells which folders are read-only in it."""
    kept = folder.kept()
    if folder.is_running(kept):
        with FolderPlace(_running_root(folder, kept), identity=UNPRIVILEGED_ID if is_needed() else None) as place:
            yield place
        return
    handle = folder.hold()
    try:
        # What lay in the container's layer there would not be seen: it gets these folders from the image alone.
        closed = [name.strip("/") for name in read_only_folders(image.layer_paths, sandbox.read_only)[0]]
        with open_rest(image.layer_paths, folder.upper, closed=closed) as rest:
            yield rest
    finally:
        os.close(handle)


def _running_root(folder: Folder, kept: Kept) -> int:
    """A descriptor of the root directory that the container's first process has (proc(5), ``root``)."""
    try:
        return os.open(f"/proc/{_first(folder, kept)}/root", FOLDER & ~os.O_NOFOLLOW)
    except OSError as error:
        raise ContainerError(
            f"container {folder.config().name} can't be looked into: {error.strerror}",
            hint="it may have ended just now; as another user only root can",
        ) from error


@contextmanager
def _standing_still(folder: Folder) -> Iterator[None]:
    """No process of it runs, or is started, until the end."""
    kept = folder.kept()
    if folder.is_running(kept) and kept.paused:
        yield  # it stands still, and goes on doing so afterwards
        return
    if folder.is_running(kept):
        with frozen(folder.path, _first(folder, kept), name=folder.config().name):
            yield
        return
    handle = folder.hold()
    try:
        yield
    finally:
        os.close(handle)


def _first(folder: Folder, kept: Kept) -> int:
    """The first process of a running container, in this process's numbering."""
    if kept.scope != scope() or kept.pid is None:
        raise ContainerError(
            f"container {folder.config().name} runs on another host, or in another container, that has this home",
            hint="ask there",
        )
    return kept.pid


def _mounts(folder: Folder, image: Image, sandbox: Sandbox) -> tuple[str, ...]:
    """The targets of what is mounted over the root, as they are given and without links."""
    targets = (
        *sandbox.files,
        *(bind.target for bind in sandbox.binds),
        *(each.target for each in sandbox.tmpfs),
        *(each.target for each in sandbox.volumes),
    )
    view = View({"/": (folder.upper, *reversed(image.layer_paths))})
    return (*targets, *(view.resolve(target) for target in targets))
