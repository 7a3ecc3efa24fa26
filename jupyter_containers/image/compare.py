"""Two images side by side: their configurations, their layers, and every file that is not the same in both."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from .blobs import layer_tar
from .facts import quote_name
from .flatten import Part, Tree, merge, roots
from .layer import Found, read_xattrs, whole_seconds
from .model import ExecutionConfig, Image, ImageConfig, Layer
from .store import Store

__all__ = ["ConfigDifference", "FileDifference", "ImageDifference", "LayerDifference", "compare"]

_PIECE = 1 << 20


class ConfigDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the configuration."""

    field: str
    """``architecture``, ``env.PATH``, ``labels.…``, ``history[3]`` …"""
    a: Any = None
    """None: it is not there."""
    b: Any = None


class LayerDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that one of the two has, or has elsewhere."""

    position: int
    """From 0, the lowest, on."""
    a: str = ""
    """diff_id; empty: there is none."""
    b: str = ""
    created_by_a: str = ""
    created_by_b: str = ""
    note: str = ""
    """Where the files of both are the same: what is not."""


class FileDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A file, folder or link of the merged root."""

    path: str
    kind: Literal["added", "removed", "changed"]
    changes: tuple[str, ...] = ()
    """Of what was changed: ``content``, ``mode 644 755``, ``time``, ``owner 0:0 1000:1000``, ``type``, ``link`` …"""
    layer_a: str = ""
    """What made the layer that has it."""
    layer_b: str = ""


class ImageDifference(msgspec.Struct, frozen=True, kw_only=True):
    a: str
    """Digest."""
    b: str
    config: tuple[ConfigDifference, ...] = ()
    layers: tuple[LayerDifference, ...] = ()
    files: tuple[FileDifference, ...] = ()
    causes: tuple[str, ...] = ()
    """What it is likely to come from, in words."""

    @property
    def is_empty(self) -> bool:
        return self.a == self.b


def compare(store: Store, a: Image, b: Image) -> ImageDifference:
    """All that is not the same; reads the files of layers that are not in both."""
    layers = tuple(_layers(a, b))
    files = tuple(sorted(_files(store, a, b), key=lambda each: each.path)) if layers else ()
    return ImageDifference(
        a=a.digest, b=b.digest, config=tuple(_config(a.config, b.config)), files=files,
        layers=tuple(_explained(store, each, files) for each in layers),
    )  # fmt: skip


# Configuration


def _config(a: ImageConfig, b: ImageConfig) -> Iterator[ConfigDifference]:
    one, other = _fields(a), _fields(b)
    for field in sorted(one.keys() | other.keys()):
        if one.get(field) != other.get(field):
            yield ConfigDifference(field=field, a=one.get(field), b=other.get(field))


def _fields(config: ImageConfig) -> dict[str, Any]:
    """Each field that says something, by a dotted name; layers are told apart from it."""
    document = msgspec.to_builtins(config)
    fields = {
        name: document[name] for name in ("created", "author", "architecture", "os", "variant") if document.get(name)
    }
    execution = config.config or ExecutionConfig()
    for name, value in msgspec.to_builtins(execution).items():
        if name == "Env":
            fields |= {f"env.{key}": text for key, text in execution.environment.items()}
        elif name == "Labels":
            fields |= {f"labels.{key}": text for key, text in (value or {}).items()}
        elif value not in (None, "", [], {}):
            fields[name] = value
    for number, entry in enumerate(document.get("history") or ()):
        fields[f"history[{number}]"] = entry
    return fields


# Layers


def _layers(a: Image, b: Image) -> Iterator[LayerDifference]:
    for position in range(max(len(a.layers), len(b.layers))):
        one = a.layers[position] if position < len(a.layers) else None
        other = b.layers[position] if position < len(b.layers) else None
        if one is None or other is None or one.diff_id != other.diff_id:
            yield LayerDifference(
                position=position, a=one.diff_id if one else "", b=other.diff_id if other else "",
                created_by_a=one.created_by if one else "", created_by_b=other.created_by if other else "",
            )  # fmt: skip


def _explained(store: Store, layer: LayerDifference, files: Sequence[FileDifference]) -> LayerDifference:
    if files or not layer.a or not layer.b:
        return layer
    foreign = any(store.layer_record(diff_id).recipe for diff_id in (layer.a, layer.b))
    note = "the files are the same; their tars differ in the order of entries, padding or what later layers hide"
    return msgspec.structs.replace(layer, note=note if foreign else "the files that later layers hide are others")


# Files


def _files(store: Store, a: Image, b: Image) -> Iterator[FileDifference]:
    trees = tuple(_trees(store, image) for image in (a, b))
    owners = _Owners(store, a, b)
    stack: list[tuple[bytes, tuple[Part, ...], tuple[Part, ...]]] = [(b"", roots(trees[0]), roots(trees[1]))]
    while stack:
        prefix, *sides = stack.pop()
        # The same folders of the same layers, in the same order, show the same.
        if [part.path for part in sides[0]] == [part.path for part in sides[1]]:
            continue
        one, other = (
            {found.name: (found, tree, parts) for found, tree, parts in merge(side, prefix)} for side in sides
        )
        for name in sorted(one.keys() | other.keys()):
            left, right = one.get(name), other.get(name)
            changes: tuple[str, ...] = ()
            if left and right:
                changes = tuple(_changes((left[0], trees[0][left[1]]), (right[0], trees[1][right[1]])))
                changes += owners.changed(name, left[1], right[1])
            if changes or left is None or right is None:
                yield FileDifference(
                    path="/" + quote_name(name),
                    kind="changed" if changes else "added" if left is None else "removed",
                    changes=changes,
                    layer_a=a.layers[left[1]].created_by if left else "",
                    layer_b=b.layers[right[1]].created_by if right else "",
                )
            below = (left[2] if left else ()), (right[2] if right else ())
            if any(below):
                stack.append((name + b"/", *below))


def _trees(store: Store, image: Image) -> list[Tree]:
    return [Tree(layer.path, store.layer_record(layer.diff_id).facts) for layer in image.layers]


def _changes(one: tuple[Found, Tree], other: tuple[Found, Tree]) -> Iterator[str]:
    (a, tree_a), (b, tree_b) = one, other
    if a.path == b.path:
        return
    kind = stat.S_IFMT(a.status.st_mode)
    if kind != stat.S_IFMT(b.status.st_mode):
        yield "type"
        return
    if kind == stat.S_IFLNK:
        if os.readlink(a.path) != os.readlink(b.path):  # noqa: PTH115  bytes
            yield "link"
    else:
        modes = _mode(a, tree_a), _mode(b, tree_b)
        if modes[0] != modes[1]:
            yield f"mode {modes[0]:o} {modes[1]:o}"
    if kind == stat.S_IFREG and not _have_same_bytes(a, b):
        yield "content"
    if kind in (stat.S_IFREG, stat.S_IFDIR) and _attributes(a, tree_a) != _attributes(b, tree_b):
        yield "attributes"
    if whole_seconds(a.status) != whole_seconds(b.status):
        yield "time"


def _mode(found: Found, tree: Tree) -> int:
    name = quote_name(found.name)
    return tree.facts.modes.get(tree.facts.links.get(name, name), stat.S_IMODE(found.status.st_mode))


def _attributes(found: Found, tree: Tree) -> Mapping[bytes, bytes]:
    return read_xattrs(found.path) | dict(tree.facts.xattrs_of(found.name))


def _have_same_bytes(a: Found, b: Found) -> bool:
    if a.status.st_size != b.status.st_size:
        return False
    if (a.status.st_dev, a.status.st_ino) == (b.status.st_dev, b.status.st_ino):
        return True
    with open(a.path, "rb", buffering=0) as one, open(b.path, "rb", buffering=0) as other:
        while piece := one.read(_PIECE):
            if other.read(len(piece)) != piece:
                return False
    return True


class _Owners:
    """Owners, which only a foreign layer's tar tells: all of ours are 0. Read where layers differ."""

    def __init__(self, store: Store, a: Image, b: Image) -> None:
        self._store, self._images = store, (a, b)
        self._known: dict[str, dict[bytes, tuple[int, int]]] = {}

    def changed(self, name: bytes, layer_a: int, layer_b: int) -> tuple[str, ...]:
        layers = self._images[0].layers[layer_a], self._images[1].layers[layer_b]
        if layers[0].diff_id == layers[1].diff_id or not any(map(self._is_foreign, layers)):
            return ()
        a, b = (self._owners(layer).get(name, (0, 0)) for layer in layers)
        return (f"owner {a[0]}:{a[1]} {b[0]}:{b[1]}",) if a != b else ()

    def _is_foreign(self, layer: Layer) -> bool:
        return self._store.layer_record(layer.diff_id).recipe

    def _owners(self, layer: Layer) -> dict[bytes, tuple[int, int]]:
        if layer.diff_id not in self._known:
            found: dict[bytes, tuple[int, int]] = {}
            if self._is_foreign(layer):
                stream = _Stream(layer_tar(self._store, layer))
                with tarfile.open(fileobj=stream, mode="r|", errors="surrogateescape") as archive:  # type: ignore[call-overload]
                    for member in archive:
                        found[os.fsencode(member.name).removeprefix(b"./").strip(b"/")] = (member.uid, member.gid)
            self._known[layer.diff_id] = found
        return self._known[layer.diff_id]


class _Stream:
    """Pieces as a file to read from."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces, self._waiting = pieces, b""

    def read(self, size: int) -> bytes:
        parts = []
        while size:
            if not self._waiting:
                self._waiting = bytes(next(self._pieces, b""))
                if not self._waiting:
                    break
            parts.append(self._waiting[:size])
            self._waiting = self._waiting[size:]
            size -= len(parts[-1])
        return b"".join(parts)
