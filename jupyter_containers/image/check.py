"""Hashing everything in the store again: what is damaged is told, or taken out so that it is made anew."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import StoreError, UntrustedContentError
from .blobs import layer_tar
from .caches import list_entries
from .census import statuses
from .digest import hex_of, sha256_of_stream, short_name
from .gc import trash
from .lookup import list_references
from .model import ImageConfig, Layer, decode
from .progress import Progress, quiet
from .records import ImageRecord, LayerRecord, ReferenceRecord, list_records, read_record
from .reference import parse_reference
from .sharing import list_file
from .store import Store

__all__ = ["Damage", "broken_images", "origins", "take_out_package", "verify"]


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not what it should be."""

    kind: Literal["layer", "document", "image", "reference", "record", "download", "package"]
    """``package``: one that was prepared for being linked into layers."""
    name: str
    cause: str
    repaired: bool = False
    """It was taken out, or is whole again: *remedy* tells."""
    remedy: str = ""
    """What was done, or is to be done."""


def verify(store: Store, *, repair: bool = False, progress: Progress = quiet) -> tuple[Damage, ...]:
    """Check every layer's diff_id, every document's digest, and that what refers to something finds it.

    With *repair* damaged layers and documents are taken out of the store. Progress is in layers.
    """
    with store.lease():  # what is looked at is not collected meanwhile
        found = [
            *_records(store),
            *_layers(store, progress),
            *_documents(store),
            *_downloads(store, progress),
            *broken_images(store),
            *_references(store),
        ]
        return tuple(_taken_out(store, damage) if repair else damage for damage in found)


def take_out_package(store: Store, path: Path) -> None:
    """Take a prepared package, or a download, out of its cache."""
    with trash(store) as bin_, suppress(FileNotFoundError):
        path.rename(bin_ / path.name)


def _layers(store: Store, progress: Progress) -> list[Damage]:
    records = list_records(store.folder("layers"), LayerRecord)
    found = []
    for number, (_, record) in enumerate(records):
        progress("verifying layers", number, len(records))
        layer = store.find_layer(record.diff_id)
        if layer is None:
            found.append(Damage("layer", record.diff_id, f"its folder l/{record.id} is missing"))
        elif cause := _layer_damage(store, layer):
            found.append(Damage("layer", record.diff_id, cause))
    progress("verifying layers", len(records), len(records))
    return found


def _layer_damage(store: Store, layer: Layer) -> str:
    try:
        for _ in layer_tar(store, layer):
            pass
    except StoreError as error:
        return error.message
    except OSError as error:
        return f"{error.filename or 'a file'}: {error.strerror}"
    return ""


def _records(store: Store) -> list[Damage]:
    """Records that can't be read: what they describe is as good as gone."""
    kinds = (("layers", LayerRecord), ("images", ImageRecord), ("refs", ReferenceRecord))
    return [
        Damage("record", f"{name}/{path.name}", "it is no record of this store's format")
        for name, kind in kinds
        for path in sorted(store.folder(name).glob("[!.]*.json"))
        if read_record(path, kind) is None and path.exists()
    ]


def _documents(store: Store) -> list[Damage]:
    found = []
    for path in sorted(store.folder("blobs").glob("[!.]*")):
        with path.open("rb") as stream:
            digest, _ = sha256_of_stream(stream)
        if digest != f"sha256:{path.name}":
            found.append(Damage("document", f"sha256:{path.name}", f"its content's digest is {digest}"))
    return found


def _downloads(store: Store, progress: Progress) -> list[Damage]:
    """Files that are called by their hash (:class:`..lock.fetch.Fetcher`)."""
    files = sorted((store.folder("cache") / "archives" / "sha256").glob("[0-9a-f][0-9a-f]/*"))
    found = []
    for number, path in enumerate(files):
        progress("verifying downloads", number, len(files))
        with suppress(FileNotFoundError), path.open("rb") as stream:  # pruned meanwhile
            digest, _ = sha256_of_stream(stream)
            if digest != f"sha256:{path.name}":
                found.append(Damage("download", path.name, f"its content's digest is {digest}"))
    progress("verifying downloads", len(files), len(files))
    return found


def broken_images(store: Store) -> list[Damage]:
    """Images that are not whole: their config, or a layer, is not there."""
    return [
        Damage("image", record.digest, cause)
        for _, record in list_records(store.folder("images"), ImageRecord)
        if (cause := _image_damage(store, record))
    ]


def origins(store: Store, digest: str) -> tuple[str, ...]:
    """Where the image *digest* can be had again: its names in registries, with its manifest's digest."""
    record = read_record(store.folder("images") / f"{hex_of(digest)}.json", ImageRecord)
    if record is None or record.manifest is None:
        return ()
    names = [parse_reference(name) for name, image in store.references().items() if image == digest]
    return tuple(sorted({f"{name.name}@{record.manifest.digest}" for name in names if name.registry}))


def _image_damage(store: Store, record: ImageRecord) -> str:
    path = store.blob_path(record.digest)
    if not path.exists():
        return "its config is missing"
    try:
        config = decode(path.read_bytes(), ImageConfig, what="its config")
    except UntrustedContentError as error:
        return error.message
    if config.rootfs.diff_ids != record.layers:
        return "its layers are not those of its config"
    missing = [diff_id for diff_id in record.layers if store.find_layer(diff_id) is None]
    return f"its layer {missing[0]} is missing" if missing else ""


def _references(store: Store) -> list[Damage]:
    known = {image.digest for root in store.roots for _, image in list_records(root / "images", ImageRecord)}
    return [
        Damage("reference", name, f"its image {digest} is missing")
        for name, digest in sorted(list_references(store.root).items())
        if digest not in known
    ]


def _taken_out(store: Store, damage: Damage) -> Damage:
    """Images and references stay as they are: they are whole again when their parts are."""
    if damage.kind in ("image", "reference"):
        return damage
    paths = _paths(store, damage)
    # A file that is damaged in a layer is so in the package that it was linked from, and would be linked again.
    packages = _packages_with(store, paths[0]) if damage.kind == "layer" else []
    with trash(store) as bin_, store.alone():
        for path in paths:
            if path.exists():
                path.rename(bin_ / f"{path.parent.name}-{path.name}")
        for number, path in enumerate(packages):
            path.rename(bin_ / f"package-{number}")
    what = {"download": "it is downloaded when it is needed", "record": ""}.get(
        damage.kind, "the next build, load or pull makes it anew"
    )
    more = f"; {len(packages)} prepared packages that share its files went along" if packages else ""
    return replace(damage, repaired=True, remedy=f"taken out{f': {what}' if what else ''}{more}")


def _packages_with(store: Store, tree: Path) -> list[Path]:
    """The prepared packages that share a file with *tree*."""
    inodes = {status.st_ino for status in statuses(os.fsencode(tree)) if status.st_nlink > 1}
    return [
        entry.path
        for entry in list_entries(store)
        if entry.name.startswith("wheels/")
        and inodes
        and any(status.st_ino in inodes for status in statuses(os.fsencode(entry.path)))
    ]


def _paths(store: Store, damage: Damage) -> list[Path]:
    """The tree first: one without a record would be taken for a whole layer whose commit was interrupted."""
    if damage.kind == "record":
        return [store.root / damage.name]
    if damage.kind == "document":
        return [store.blob_path(damage.name)]
    if damage.kind == "download":
        return [store.folder("cache") / "archives" / "sha256" / damage.name[:2] / damage.name]
    name = short_name(damage.name)
    layers = store.folder("layers")
    return [store.folder("l") / name, layers / f"{name}.json", layers / f"{name}.recipe", list_file(layers, name)]
