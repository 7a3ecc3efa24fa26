"""The collector: removes what nothing refers to.

Kept are

- images that have a reference or a pin, or are leased by a living process, and all that they consist of;
- leased layers;
- with *unused_for*, images without a name, and layers of steps, that were of use within so many seconds.

It marks and takes away with the store's lock held alone, which is short, for taking away is renaming; it deletes
afterwards. Killed at any point it leaves what the next one collects. What else is to go, named images and things in
caches, :mod:`.pruning` chooses.
"""

from __future__ import annotations

import os
import resource
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from .caches import CacheEntry, all_caches
from .digest import short_name
from .durable import fsync_folder
from .locks import try_lock
from .lookup import reference_file
from .records import AttachedRecord, LayerRecord, list_records
from .store import Store
from .survey import survey
from .tree import remove_tree
from .usage import measure_tree

__all__ = ["Collected", "collect", "sweep", "trash"]


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed, or would be."""

    items: tuple[str, ...]
    """A line for each: ``layer 4k2… (apt: graphviz)``."""
    size: int
    """Bytes on disk that are free now; what is shared with caches or layers that stay is not counted."""


@dataclass(slots=True)
class _Marks:
    """What goes."""

    layers: list[LayerRecord] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    trees: list[Path] = field(default_factory=list)
    """Layers' folders, with a record that goes or without one."""
    items: list[str] = field(default_factory=list)


def collect(
    store: Store,
    *,
    unused_for: float = 0.0,
    since: float | None = None,
    given_up: Mapping[str, float] = MappingProxyType({}),
    cached: Sequence[CacheEntry] = (),
    dry_run: bool = False,
) -> Collected:
    """Remove what nothing refers to; with *dry_run* only tell. Safe beside builds and containers.

    *unused_for*: keep what was of use within so many seconds; *since* gives the time itself. *given_up*: images that
    go although they have names, unless they are pinned, in use, or were used after the time that is given for each.
    *cached*: what goes from the caches, unless somebody uses them.
    """
    size = 0
    with ExitStack() as stack:
        bin_ = None if dry_run else stack.enter_context(trash(store))
        with store.alone():
            readers = stack.enter_context(Readers(store))
            marks = _mark(store, time.time() - unused_for if since is None else since, given_up, readers)
            stale = list(_stale_folders(store, stack))
            for path in stale:
                marks.items.append(f"interrupted work {path.name}")
            if dry_run:
                size = measure_tree(*marks.trees, *stale, *(entry.path for entry in cached)).own
            if bin_ is not None:
                _take_away(store, marks, bin_)
        marks.items += _empty_caches(store, cached, bin_)
        if bin_ is not None:
            size = measure_tree(*bin_.iterdir(), *stale).own
            for path in stale:
                remove_tree(path)
    return Collected(tuple(marks.items), size)


def _empty_caches(store: Store, cached: Sequence[CacheEntry], bin_: Path | None) -> list[str]:
    """Rename the entries away (with *bin_* None only tell); what was done, in words."""
    if not cached:
        return []
    with all_caches(store) as alone:
        if not alone:
            return ["caches stay: a build or `lock` is at work with them"]
        gone = []
        for number, entry in enumerate(cached):
            with suppress(FileNotFoundError):
                if bin_ is not None:
                    entry.path.rename(bin_ / f"cache-{number}")
                gone.append(f"cache {entry.name}")
        return gone


def sweep(store: Store) -> None:
    """Remove the unfinished work of processes that were killed; what is being worked on stays."""
    with ExitStack() as stack:
        with store.alone():  # a folder is made and locked under the other side of this lock
            stale = list(_stale_folders(store, stack))
        for path in stale:
            remove_tree(path)


@contextmanager
def trash(store: Store) -> Iterator[Path]:
    """A folder in ``tmp/`` to rename things into; what is in it is deleted at the end, or by the next collector."""
    path = store.folder("tmp") / f"trash-{secrets.token_hex(6)}"
    with store.sharing():
        path.mkdir(mode=0o700)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try_lock(handle)
    try:
        yield path
    finally:
        remove_tree(path)
        os.close(handle)


class Readers:
    """Who reads a shared store can't write a lease, and holds the lock of a record instead (:mod:`.shelf`). A record
    that is taken away is locked alone until that is done: whoever comes meanwhile finds it locked, and so gone."""

    def __init__(self, store: Store) -> None:
        self._handles: list[int] | None = [] if store.is_shared else None

    def __enter__(self) -> Readers:
        if self._handles is not None:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a descriptor for each record
            self._soft = soft, hard
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles or ():
            os.close(handle)
        if self._handles is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._soft)

    def hold(self, path: Path) -> bool:
        """Whether somebody holds the record *path*. Else nobody can until the end."""
        if self._handles is None:
            return False
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        if not try_lock(handle):
            os.close(handle)
            return True
        self._handles.append(handle)
        return False


def _mark(store: Store, since: float, given_up: Mapping[str, float], readers: Readers) -> _Marks:
    marks = _Marks()
    found = survey(store, tidy=True)
    kept_layers = set(found.held)
    kept_blobs: set[str] = set()
    for each in found.images:
        image = each.record
        goes = bool(each.references) and each.last_used <= given_up.get(image.digest, 0.0)
        kept = each.pinned or each.held or (bool(each.references) and not goes) or (each.last_used > since and not goes)
        if kept or readers.hold(each.path):
            kept_layers.update(image.layers)
            kept_blobs.add(image.digest)
            if image.manifest is not None:
                kept_blobs.add(image.manifest.digest)
            continue
        marks.files += [each.path, *(reference_file(store.root, name) for name in each.references)]
        named = f" ({', '.join(each.references)})" if each.references else ""
        marks.items.append(f"image {image.digest[:19]}{named}")
    for path, attached in list_records(store.folder("attached"), AttachedRecord):
        if attached.image in kept_blobs:
            kept_blobs.update(part.digest for part in attached.parts)
        else:
            marks.files.append(path)
    kept_layers.update(step.record.diff_id for step in found.steps if step.last_used > since)
    marks.files += [step.path for step in found.steps if step.record.diff_id not in kept_layers]
    _mark_layers(store, kept_layers, marks, readers)
    marks.files += [path for path in store.folder("blobs").glob("[!.]*") if f"sha256:{path.name}" not in kept_blobs]
    for name in ("layers", "blobs", "images", "refs", "pins", "steps", "attached"):
        # Their writers hold the store's lock, shared: whoever left these is dead.
        marks.files += store.folder(name).glob(".*.tmp")
    return marks


def _mark_layers(store: Store, kept: set[str], marks: _Marks, readers: Readers) -> None:
    names = {short_name(diff_id) for diff_id in kept}
    for path, layer in list_records(store.folder("layers"), LayerRecord):
        if layer.diff_id not in kept and not readers.hold(path):
            marks.layers.append(layer)
            marks.files.append(path)
            marks.items.append(f"layer {layer.id} ({layer.created_by})" if layer.created_by else f"layer {layer.id}")
    going = {layer.id for layer in marks.layers}
    for path in store.folder("l").iterdir():
        has_record = (store.folder("layers") / f"{path.name}.json").exists()
        if path.name in going or (not has_record and path.name not in names):
            marks.trees.append(path)
            if path.name not in going:
                marks.items.append(f"layer {path.name}, whose commit was interrupted")
    for path in (*store.folder("layers").glob("*.recipe"), *store.folder("layers").glob("*.files")):
        if path.stem in going or (path.stem not in names and not path.with_suffix(".json").exists()):
            marks.files.append(path)


def _take_away(store: Store, marks: _Marks, bin_: Path) -> None:
    # Names before images, images before layers, records before trees: at no moment is there a record of something that
    # is not there.
    order = ("refs", "pins", "images", "steps", "attached", "layers", "blobs")
    for path in sorted(marks.files, key=lambda path: order.index(path.parent.name)):
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in marks.files}:
        fsync_folder(folder)
    for path in marks.trees:
        path.rename(bin_ / path.name)
    fsync_folder(store.folder("l"))
    for path in store.folder("locks").iterdir():
        _unlink_unlocked(path)


def _unlink_unlocked(path: Path) -> None:
    """A step's lock file is its holder's to unlink; one that nobody holds was left by a killed builder."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if try_lock(handle):
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _stale_folders(store: Store, stack: ExitStack) -> Iterator[Path]:
    """Folders in ``tmp/`` whose owner is dead; their locks are held to the *stack*'s end, to remove each once."""
    for path in sorted(store.folder("tmp").iterdir()):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if try_lock(handle):
            stack.callback(os.close, handle)
            yield path
        else:
            os.close(handle)
