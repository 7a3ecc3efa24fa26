"""The artefacts that the store keeps of its images: ``attached/<hash>.json``, their parts among the documents.

They are kept by the image's digest and not by a manifest's, which an image built here has only once it is saved or
pushed: the artefact's own manifest is made then. Kept is what is small; an image's collection takes its artefacts
along (:mod:`.gc`).
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

from ..errors import NotFoundError
from .artifacts import TITLE, Artifact, Part, describe
from .durable import full_disk_told, write_atomically
from .records import AttachedRecord, list_records
from .store import Store

__all__ = ["LARGEST", "attach", "list_attached"]

LARGEST = 16 << 20
"""Bytes of an artefact's parts that are kept of foreign ones."""


def attach(store: Store, image: str, artifact: Artifact) -> None:
    """Keep *artifact* of the image of digest *image*, in place of one of the same kind and annotations."""
    record = AttachedRecord(
        image=image, kind=artifact.kind, parts=tuple(map(describe, artifact.parts)), annotations=artifact.annotations
    )
    with full_disk_told(store.root), store.sharing():  # no collector between a document and what keeps it
        for part in artifact.parts:
            store.put_blob(part.content if isinstance(part.content, bytes) else part.content.read_bytes())
        path = _file(store, record)
        path.parent.mkdir(mode=0o700, exist_ok=True)  # stores that are older than artefacts have no such folder
        write_atomically(path, msgspec.json.encode(record), mode=store.record_mode)


def list_attached(store: Store, image: str) -> tuple[Artifact, ...]:
    """The artefacts of the image of digest *image*, by kind; those that are damaged are left out."""
    found = []
    records = [record for root in store.roots for _, record in list_records(root / "attached", AttachedRecord)]
    for record in {msgspec.json.encode(record): record for record in records}.values():
        if record.image != image:
            continue
        try:
            parts = tuple(
                Part(
                    media_type=entry.media_type, content=store.read_blob(entry.digest),
                    title=entry.annotations.get(TITLE, ""),
                )
                for entry in record.parts
            )  # fmt: skip
        except NotFoundError:
            continue
        found.append(Artifact(kind=record.kind, parts=parts, annotations=record.annotations))
    return tuple(sorted(found, key=lambda artifact: (artifact.kind, sorted(artifact.annotations.items()))))


def _file(store: Store, record: AttachedRecord) -> Path:
    key = msgspec.json.encode([record.image, record.kind, sorted(record.annotations.items())])
    return store.root / "attached" / f"{sha256(key).hexdigest()[:40]}.json"
