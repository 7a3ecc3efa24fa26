"""Reading one store: its own user's, or one that others share. Nothing is written here.

A *shared store* belongs to an administrator and lies below the private ones of its readers (``docs/store.md``). Its
readers can't write leases. What they use they hold by a shared flock(2) on its record, for which a descriptor to read
by is enough; the administrator's collector takes nothing away whose record it can't lock alone.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path

from ..errors import NotFoundError, StoreError
from .digest import hex_of, short_name
from .locks import try_lock
from .lookup import list_references, resolve
from .records import ImageRecord, LayerRecord, StepRecord, list_records, read_record

__all__ = ["Shelf", "step_file"]

_STEP_ID = r"[A-Za-z0-9][A-Za-z0-9:._-]{0,199}"


class Shelf:
    """The store in the folder *root*."""

    def __init__(self, root: Path, *, shared: bool = False) -> None:
        self.root, self.is_shared = root, shared

    @property
    def is_foreign(self) -> bool:
        """Whether its files are another user's: they can be read, and not be a container's own."""
        return self.is_shared and os.geteuid() not in (0, (self.root / "l").stat().st_uid)

    def layer(self, diff_id: str) -> LayerRecord | None:
        record = read_record(self.layer_file(diff_id), LayerRecord)
        if record is None or record.diff_id != diff_id or not self.tree(record).is_dir():
            return None
        return record

    def layer_file(self, diff_id: str) -> Path:
        return self.root / "layers" / f"{short_name(diff_id)}.json"

    def tree(self, record: LayerRecord) -> Path:
        return self.root / "l" / record.id

    def recipe(self, record: LayerRecord) -> Path:
        """Of a foreign layer: its tar without the files' bytes."""
        return self.root / "layers" / f"{record.id}.recipe"

    def image(self, digest: str) -> ImageRecord | None:
        return read_record(self.image_file(digest), ImageRecord)

    def image_file(self, digest: str) -> Path:
        return self.root / "images" / f"{hex_of(digest)}.json"

    def images(self) -> list[ImageRecord]:
        return [record for _, record in list_records(self.root / "images", ImageRecord)]

    def step(self, step_id: str) -> StepRecord | None:
        record = read_record(self.step_file(step_id), StepRecord)
        return record if record is not None and record.step == step_id else None

    def step_file(self, step_id: str) -> Path:
        return self.root / "steps" / step_file(step_id)

    def references(self) -> dict[str, str]:
        return list_references(self.root)

    def find(self, text: str, references: dict[str, str]) -> str:
        """The digest of the image that *text* means here, *references* being the names; empty where it means none."""
        try:
            return resolve(self.root, text, references)
        except NotFoundError:
            return ""

    def blob(self, digest: str) -> Path:
        return self.root / "blobs" / hex_of(digest)

    def hold(self, digest: str) -> int | None:
        """A descriptor that keeps the image or layer *digest* of a shared store, as long as it is open; None where it
        is not there, or is just being taken away."""
        for path in (self.image_file(digest), self.layer_file(digest)):
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            if try_lock(handle, shared=True) and _is_named(handle, path):
                return handle
            os.close(handle)
        return None


def step_file(step_id: str, suffix: str = ".json") -> str:
    """The name of the file that stands for a step; :class:`StoreError`."""
    if not re.fullmatch(_STEP_ID, step_id):
        raise StoreError(f"{step_id[:80]!r} can't be a step's id")
    return sha256(step_id.encode()).hexdigest()[:40] + suffix


def _is_named(handle: int, path: Path) -> bool:
    try:
        return os.fstat(handle).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
