"""Images for others to share: copied into a store that every user may read and only its administrator writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..errors import HostError, InputError, StoreError
from .attached import attach, list_attached
from .copies import copy_recipe, copy_tree
from .durable import full_disk_told, write_atomically
from .model import Image
from .progress import Progress, quiet
from .records import StepRecord, list_records
from .shared import MARKER
from .store import Store

__all__ = ["Published", "open_shared", "publish", "publish_downloads"]

_OPEN = ("l", "layers", "blobs", "images", "refs", "steps", "attached")
"""Folders that readers look into. The others are the administrator's."""


class Published(msgspec.Struct, frozen=True):
    image: str
    """Digest."""
    references: tuple[str, ...]
    layers: int
    """That were not there before."""
    store: str
    """The folder to name in ``JUPYTER_CONTAINERS_SHARED_STORES``."""


def open_shared(folder: Path) -> Store:
    """The shared store in *folder*, made where missing: readable for all, written by this user.

    Raises :class:`StoreError` where there is a private one.
    """
    root = folder / "store"
    if (root / "version").exists() and not (root / MARKER).exists():
        raise StoreError(f"{folder} is a private home", hint="publish into a folder of its own, such as /srv/jc")
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise InputError(f"{folder} belongs to another user", hint="its owner can publish there")
        store = Store(root, shared=())
        for name in ("", *_OPEN):
            (root / name).mkdir(mode=0o755, exist_ok=True)
            (root / name).chmod(0o755)
        folder.chmod(0o755)
        if not store.is_shared:
            write_atomically(root / MARKER, b"", mode=0o644)
    except OSError as error:
        raise HostError(
            f"cannot make a shared store in {folder}: {error.strerror}", hint="use a folder that you may write to"
        ) from error
    return store


def publish(
    source: Store, image: Image, target: Store, names: Sequence[str], *, progress: Progress = quiet
) -> Published:
    """Copy *image*, its layers, the steps that gave them and what is attached to it, to *target*, called *names*.

    On one mount files are linked, and take no more disk; but for those that not every user may read.
    """
    new = 0
    with source.lease([image.digest]), target.lease(), full_disk_told(target.root):
        layers = []
        for number, layer in enumerate(image.layers):
            progress("publishing layers", number, len(image.layers))
            present = target.find_layer(layer.diff_id)
            if present is None:
                record = source.layer_record(layer.diff_id)
                with target.staging() as staging:
                    facts = copy_tree(layer.path, record.facts, staging.fs, link=True)
                    recipe = copy_recipe(source.recipe_path(layer.diff_id), staging.path) if record.recipe else None
                    record = msgspec.structs.replace(record, facts=facts)
                    present = target.publish_layer(staging.fs, record, recipe=recipe)
                new += 1
            layers.append(present)
        progress("publishing layers", len(layers), len(layers))
        manifest = source.image_record(image.digest).manifest
        made = target.put_document(
            source.read_blob(image.digest), layers, manifest=manifest,
            manifest_document=source.read_blob(manifest.digest) if manifest is not None else b"",
        )  # fmt: skip
        for name in names:
            target.tag(name, made.digest)
        _publish_steps(source, target, {layer.diff_id for layer in layers})
        for artifact in list_attached(source, image.digest):
            attach(target, image.digest, artifact)
    return Published(made.digest, tuple(names), new, str(target.root.parent))


def publish_downloads(source: Store, target: Store) -> int:
    """Let the downloads of *source* be had from *target*, too: files by their hash. How many are new there."""
    new = 0
    top = target.cache_dir("archives") / "sha256"
    for folder in (target.folder("cache"), top.parent, top):
        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o755)
    with target.staging() as staging, full_disk_told(target.root):
        for path in sorted((source.folder("cache") / "archives" / "sha256").glob("[0-9a-f][0-9a-f]/*")):
            place = top / path.parent.name / path.name
            if place.exists():
                continue
            place.parent.mkdir(mode=0o755, exist_ok=True)
            place.parent.chmod(0o755)
            aside = staging.path / path.name
            shutil.copyfile(path, aside)
            aside.chmod(0o644)
            aside.rename(place)
            new += 1
    return new


def _publish_steps(source: Store, target: Store, diff_ids: set[str]) -> None:
    """A build of the same spec then finds all of it done."""
    for root in source.roots:
        for _, step in list_records(root / "steps", StepRecord):
            layer = target.find_layer(step.diff_id) if step.diff_id in diff_ids else None
            if layer is not None:
                target.record_step(step.step, layer)
