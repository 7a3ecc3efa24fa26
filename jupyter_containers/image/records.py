"""The JSON records of the store: private to it, written by it alone, versioned by its ``version`` file."""

from __future__ import annotations

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
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def list_records(folder: Path, kind: type[_T]) -> list[tuple[Path, _T]]:
    """All whole records in *folder*, by file name."""
    found = ((path, read_record(path, kind)) for path in sorted(folder.glob("[!.]*.json")))
    return [(path, record) for path, record in found if record is not None]
