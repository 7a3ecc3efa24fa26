"""What is in the store, who keeps it, and when it was last of use: what the collector goes by."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .lease import leased_digests
from .records import ImageRecord, PinRecord, StepRecord, list_records
from .store import Store

__all__ = ["ImageEntry", "StepEntry", "Survey", "survey"]


class ImageEntry(NamedTuple):
    path: Path
    record: ImageRecord
    last_used: float
    """Seconds since the epoch: when it came, or a container or build was last made from it."""
    references: tuple[str, ...]
    pinned: bool
    """By its user, or by a container at rest."""
    held: bool
    """By a process that lives."""


class StepEntry(NamedTuple):
    path: Path
    record: StepRecord
    last_used: float


class Survey(NamedTuple):
    images: tuple[ImageEntry, ...]
    steps: tuple[StepEntry, ...]
    held: frozenset[str]
    """Digests of images and layers that are leased or pinned."""

    @property
    def kept(self) -> frozenset[str]:
        """Images that somebody keeps."""
        return frozenset(each.record.digest for each in self.images if each.references or each.pinned or each.held)


def survey(store: Store, *, tidy: bool = False) -> Survey:
    """Look at the store's records. *tidy*: the store's lock is held alone, and leases of the dead are removed."""
    names: dict[str, list[str]] = {}
    images = store.references()  # those of shared stores, too: what was copied from one is not nameless
    for reference, digest in images.items():
        names.setdefault(digest, []).append(reference)
    pins = [pin for _, pin in list_records(store.folder("pins"), PinRecord)]
    pinned = {images.get(pin.reference, "") if pin.reference else pin.image for pin in pins}
    leased = leased_digests(store.folder("leases"), tidy=tidy)
    return Survey(
        images=tuple(
            ImageEntry(
                path,
                record,
                _last_used(path),
                tuple(sorted(names.get(record.digest, ()))),
                record.digest in pinned,
                record.digest in leased,
            )
            for path, record in list_records(store.folder("images"), ImageRecord)
        ),
        steps=tuple(
            StepEntry(path, record, _last_used(path))
            for path, record in list_records(store.folder("steps"), StepRecord)
        ),
        held=frozenset((leased | pinned) - {""}),
    )


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
