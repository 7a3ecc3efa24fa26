"""What a store stands on: its folder and those below it, locks, leases, pins, and the place where things are made."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ..errors import NotFoundError, StoreError
from .durable import full_disk_told, write_atomically
from .lease import Lease, leased_digests
from .locks import exclusive_file, hold, try_lock
from .lookup import resolve
from .records import LayerRecord, PinRecord, list_records
from .shared import MARKER, find_shared
from .shelf import Shelf, step_file
from .tree import remove_tree

__all__ = ["Ground", "Staging"]

_VERSION = "1\n"
_FOLDERS = ("l", "layers", "blobs", "images", "refs", "pins", "steps", "locks", "leases", "tmp", "cache")
_OWNER = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
_CACHE_NAME = r"[a-z0-9][a-z0-9-]*"


class Staging(msgspec.Struct, frozen=True):
    """A private folder in the store in which a layer is made, on the same mount as all layers."""

    path: Path

    @property
    def fs(self) -> Path:
        """For a whole tree."""
        return self.path / "fs"

    @property
    def upper(self) -> Path:
        """For an overlay's writable layer."""
        return self.path / "upper"

    @property
    def work(self) -> Path:
        """For that overlay's own use."""
        return self.path / "work"


class Ground:
    """See the module's text; :class:`.store.Store` stands on it."""

    def __init__(self, root: Path, *, shared: Sequence[Path] | None = None) -> None:
        """*shared*: the stores below it; None: those that are configured (:mod:`.shared`)."""
        self.root = root.absolute()
        self._leases: set[Lease] = set()
        self._shelf = Shelf(self.root)
        self.below = tuple(Shelf(path, shared=True) for path in find_shared(self.root, shared))
        """Shared stores: what this one has not is looked for there."""
        version = self.root / "version"
        try:
            found = version.read_text()
        except FileNotFoundError:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
            for name in _FOLDERS:
                (self.root / name).mkdir(mode=0o700, exist_ok=True)
            write_atomically(version, _VERSION.encode())
        else:
            if found != _VERSION:
                raise StoreError(
                    f"{self.root} is a store of format {found.strip()!r}, and this program knows {_VERSION.strip()}",
                    hint="use the version of jupyter_containers that made it, or another JUPYTER_CONTAINERS_HOME",
                )

    @property
    def is_shared(self) -> bool:
        """Whether others read it: what is published in it is made readable for all."""
        return (self.root / MARKER).exists()

    @property
    def record_mode(self) -> int:
        """Of what is written in it."""
        return 0o644 if self.is_shared else 0o600

    def _write(self, path: Path, data: bytes) -> None:
        write_atomically(path, data, mode=self.record_mode)

    def folder(self, name: str) -> Path:
        """One of the store's own folders."""
        return self.root / name

    @property
    def roots(self) -> tuple[Path, ...]:
        """Its own folder, and those of the stores below."""
        return tuple(shelf.root for shelf in self._shelves)

    def cache_dir(self, name: str) -> Path:
        """``cache/<name>``, made where missing: for downloads and prepared packages, hard-linked into layers."""
        if not re.fullmatch(_CACHE_NAME, name):
            raise StoreError(f"{name!r} can't name a cache")
        path = self.root / "cache" / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    # Locks and leases

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Held while objects are published or looked up: no collector works meanwhile. Short."""
        with hold(self.root / "lock", shared=True):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Held while objects are taken away. Short, too: what is taken away is deleted afterwards."""
        with hold(self.root / "lock"):
            yield

    @contextmanager
    def lease(self, digests: Iterable[str] = ()) -> Iterator[Lease]:
        """Keep images and layers from the collector, until the end or this process's death.

        Held are *digests* (:class:`NotFoundError` where one is not there), what is added, and whatever this
        :class:`Store` commits or looks up meanwhile.
        """
        with self.sharing():
            lease = Lease(self.root / "leases")
            try:
                self._hold(lease, digests)
            except BaseException:
                lease.release()
                raise
            self._leases.add(lease)
        try:
            yield lease
        finally:
            self._leases.discard(lease)
            lease.release()

    def tidy_leases(self) -> None:
        """Remove the leases of processes that were killed: they hold nothing, and each takes a block of the disk."""
        with self.alone():
            leased_digests(self.root / "leases")

    def _hold(self, lease: Lease, digests: Iterable[str]) -> None:
        for digest in digests:
            if not any(shelf.image_file(digest).exists() or shelf.layer(digest) for shelf in self._shelves):
                raise NotFoundError(f"no image and no layer {digest}")
            self._keep(lease, [digest])

    def _used(self, *digests: str) -> None:
        for lease in tuple(self._leases):
            self._keep(lease, digests)

    def _keep(self, lease: Lease, digests: Iterable[str]) -> None:
        """In a shared store nothing is written: a lock on its record keeps an image or layer there."""
        for digest in lease.add(digests):
            if self.below and not (self._shelf.image_file(digest).exists() or self._shelf.layer_file(digest).exists()):
                handle = next((found for shelf in self.below if (found := shelf.hold(digest)) is not None), None)
                if handle is not None:
                    lease.keep(handle)

    @property
    def _shelves(self) -> tuple[Shelf, ...]:
        return (self._shelf, *self.below)

    @contextmanager
    def lock_step(self, step_id: str, *, waiting: Callable[[int], None] | None = None) -> Iterator[None]:
        """Be the only one who makes the step's layer: ask :meth:`step` once more when you have it.

        *waiting* is called again and again while another has it, with that one's process id; it may raise.
        """
        with exclusive_file(self.root / "locks" / step_file(step_id, ".lock"), waiting=waiting):
            yield

    def pin(self, owner: str, digest: str) -> None:
        """Keep an image for *owner* (``container-1f2e…``) beyond this process's life, until :meth:`unpin`."""
        path = self._pin_file(owner)
        with full_disk_told(self.root), self.sharing():
            image = self._find(digest, self.references())
            self._write(path, msgspec.json.encode(PinRecord(owner=owner, image=image)))

    def pin_layer(self, owner: str, diff_id: str) -> None:
        """Keep a layer alone, as :meth:`pin` keeps an image."""
        path = self._pin_file(owner)
        with full_disk_told(self.root), self.sharing():
            self.layer_record(diff_id)
            self._write(path, msgspec.json.encode(PinRecord(owner=owner, image=diff_id)))

    def unpin(self, owner: str) -> None:
        """Undo :meth:`pin`; no error where there is none."""
        with self.sharing():
            self._pin_file(owner).unlink(missing_ok=True)

    def pins(self) -> dict[str, str]:
        """Owners, and the images' digests they keep."""
        return {record.owner: record.image for _, record in list_records(self.root / "pins", PinRecord)}

    def _pin_file(self, owner: str) -> Path:
        if not re.fullmatch(_OWNER, owner):
            raise StoreError(f"{owner[:80]!r} can't be the owner of a pin")
        return self.root / "pins" / f"{owner}.json"

    # Making

    @contextmanager
    def staging(self) -> Iterator[Staging]:
        """A folder to make a layer in; removed at the end, and by the collector when this process dies."""
        path = self.root / "tmp" / os.urandom(6).hex()
        with self.sharing():
            path.mkdir(mode=0o700)
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try_lock(handle)  # nobody else knows it yet
        try:
            staging = Staging(path)
            for folder in (staging.fs, staging.upper, staging.work):
                folder.mkdir(mode=0o755)
            yield staging
        finally:
            remove_tree(path)  # still locked: a collector would remove it at the same time
            os.close(handle)

    # Finding

    def references(self) -> dict[str, str]:
        """All names and the images' digests they stand for; this store's go before a shared one's."""
        found: dict[str, str] = {}
        for shelf in reversed(self._shelves):
            found |= shelf.references()
        return found

    def _find(self, text: str, references: dict[str, str]) -> str:
        for shelf in self._shelves:
            if digest := shelf.find(text, references):
                return digest
        return resolve(self.root, text, references)  # raises, and says which names there are

    def layer_record(self, diff_id: str) -> LayerRecord:
        """What is kept of a layer beside its tree; :class:`NotFoundError`."""
        return self._shelved(diff_id)[1]

    def recipe_path(self, diff_id: str) -> Path:
        """Where the recipe of a foreign layer is."""
        shelf, record = self._shelved(diff_id)
        return shelf.recipe(record)

    def _shelved(self, diff_id: str) -> tuple[Shelf, LayerRecord]:
        found = [(shelf, record) for shelf in self._shelves if (record := shelf.layer(diff_id)) is not None]
        if not found:
            raise NotFoundError(f"the store has no layer {diff_id}", hint="build or load its image again")
        return next((each for each in found if not each[0].is_foreign), found[0])
