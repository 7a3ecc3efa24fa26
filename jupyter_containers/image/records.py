"""The JSON records of the store: private to it, written by it alone, versioned by its ``version`` file."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from .facts import Facts
from .model import Descriptor

__all__ = [
    "AttachedRecord",
    "ImageRecord",
    "LayerRecord",
    "PinRecord",
    "ReferenceRecord",
    "StepRecord",
    "list_records",
    "read_record",
]


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class LayerRecord(_Record, frozen=True, kw_only=True):
    """``layers/<id>.json``. The layer exists when this does."""

    id: str
    diff_id: str
    size: int
    tar_size: int
    entries: int
    created_by: str
    created_at: float
    facts: Facts = msgspec.field(default_factory=Facts)
    recipe: bool = False
    """A foreign tar: ``layers/<id>.recipe`` has all of it but the files' bytes (:mod:`.recipe`)."""
    sources: tuple[Descriptor, ...] = ()
    """The compressed blobs it came in, so that a registry that has one need not be sent another."""


class ImageRecord(_Record, frozen=True, kw_only=True):
    """``images/<hex>.json``."""

    digest: str
    layers: tuple[str, ...]
    """diff_ids, lowest first."""
    created_at: float
    manifest: Descriptor | None = None
    """The foreign manifest, kept as a blob."""


class ReferenceRecord(_Record, frozen=True, kw_only=True):
    """``refs/<hash of the name>.json``: a name may be longer than a file's may be."""

    reference: str
    image: str


class AttachedRecord(_Record, frozen=True, kw_only=True):
    """``attached/<hash>.json``: an artefact of an image; its parts lie in ``blobs/``."""

    image: str
    kind: str
    parts: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}


class PinRecord(_Record, frozen=True, kw_only=True):
    """``pins/<owner>.json``: who keeps an image beyond any process."""

    owner: str
    image: str
    reference: str = ""
    """A user's pin of a name: kept is the image that it stands for, whichever that is by now."""


class StepRecord(_Record, frozen=True, kw_only=True):
    """``steps/<hash of the id>.json``. Its file's modification time is when it was last of use."""

    step: str
    diff_id: str


_T = TypeVar("_T", bound=_Record)


def read_record(path: Path, kind: type[_T]) -> _T | None:
    """The record in *path*; None where there is none, or where it is damaged.

    A damaged record is one that is not there: what it described is fetched or built again, and
    :func:`.check.verify` tells of it.
    """
    return _read(str(path), _decoder(kind))


def list_records(folder: Path, kind: type[_T]) -> list[tuple[Path, _T]]:
    """All whole records in *folder*, by file name."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json") and not name.startswith("."))
    except FileNotFoundError:
        return []
    decoder, text = _decoder(kind), str(folder)
    found = ((name, _read(f"{text}/{name}", decoder)) for name in names)
    return [(folder / name, record) for name, record in found if record is not None]


@functools.cache
def _decoder(kind: type[_T]) -> msgspec.json.Decoder[_T]:
    return msgspec.json.Decoder(kind)


def _read(path: str, decoder: msgspec.json.Decoder[_T]) -> _T | None:
    # Plain system calls: every start of a container reads the record of each name that the store has.
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # of a shared store only what is for all is there
        return None
    try:
        data = b""
        while piece := os.read(handle, 1 << 16):
            data += piece
    finally:
        os.close(handle)
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
