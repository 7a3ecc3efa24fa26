"""The image store: layers unpacked once, documents by digest, names above them. ``docs/store.md`` draws it.

Safe for many processes and threads, and at any moment a process may be killed or the power fail: what is being
made lies in ``tmp/`` and becomes visible whole, by one rename. Everything is one mount, so that hard links work,
and belongs to one user.

This module makes and finds. What walks the whole store takes one: :mod:`.gc` collects, :mod:`.check` verifies,
:mod:`.usage` measures, :mod:`.blobs` packs.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from ..errors import ConflictError, NotFoundError, StoreError
from .capture import EPOCH, Capture
from .digest import hex_of, is_digest, sha256_of, short_name
from .durable import fsync_folder, full_disk_told, sync_file_system, write_atomically
from .layer import stream_tar
from .lease import Lease, leased_digests
from .locks import exclusive_file, hold, try_lock
from .lookup import list_references, name_of, reference_file, resolve
from .model import Descriptor, History, Image, ImageConfig, Layer, RootFs, decode, encode
from .records import (
    ImageRecord,
    LayerRecord,
    PinRecord,
    ReferenceRecord,
    StepRecord,
    list_records,
    read_record,
)
from .reference import parse_reference
from .sharing import list_file, make_list, share_files
from .tree import remove_tree

__all__ = ["EPOCH", "Staging", "Store"]

_VERSION = "1\n"
_FOLDERS = ("l", "layers", "blobs", "images", "refs", "pins", "steps", "locks", "leases", "tmp", "cache")
_STEP_ID = r"[A-Za-z0-9][A-Za-z0-9:._-]{0,199}"
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


class Store:
    """The store in the folder *root*, which is made where missing. Open as many as you like."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._leases: set[Lease] = set()
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

    def folder(self, name: str) -> Path:
        """One of the store's own folders."""
        return self.root / name

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

    def _hold(self, lease: Lease, digests: Iterable[str]) -> None:
        for digest in digests:
            if not (self.root / "images" / f"{hex_of(digest)}.json").exists() and self._layer(digest) is None:
                raise NotFoundError(f"no image and no layer {digest}")
            lease.add([digest])

    def _used(self, *digests: str) -> None:
        for lease in tuple(self._leases):
            lease.add(digests)

    @contextmanager
    def lock_step(self, step_id: str, *, waiting: Callable[[int], None] | None = None) -> Iterator[None]:
        """Be the only one who makes the step's layer: ask :meth:`step` once more when you have it.

        *waiting* is called again and again while another has it, with that one's process id; it may raise.
        """
        with exclusive_file(self.root / "locks" / _step_file(step_id, ".lock"), waiting=waiting):
            yield

    def pin(self, owner: str, digest: str) -> None:
        """Keep an image for *owner* (``container-1f2e…``) beyond this process's life, until :meth:`unpin`."""
        path = self._pin_file(owner)
        with full_disk_told(self.root), self.sharing():
            image = resolve(self.root, digest, self.references())
            write_atomically(path, msgspec.json.encode(PinRecord(owner=owner, image=image)))

    def pin_layer(self, owner: str, diff_id: str) -> None:
        """Keep a layer alone, as :meth:`pin` keeps an image."""
        path = self._pin_file(owner)
        with full_disk_told(self.root), self.sharing():
            self.layer_record(diff_id)
            write_atomically(path, msgspec.json.encode(PinRecord(owner=owner, image=diff_id)))

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

    # Layers

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

    def commit_layer(
        self,
        tree: Path,
        *,
        created_by: str,
        epoch: int = EPOCH,
        plain_modes: bool = False,
        true_modes: Mapping[str, int] | None = None,
        private: bool = False,
    ) -> Layer:
        """Take the folder *tree*, which lies in a :meth:`staging`, in as a layer; it is moved away.

        Times after *epoch* (seconds) become *epoch*; files with more than one link get :data:`EPOCH` at the latest,
        since other layers have them, too; with *private* none has. *plain_modes* makes modes 0644 and 0755, for trees
        that the caller's umask had a say in; *true_modes* are the modes, by quoted name, of what was made harmless
        before. A tree that is here already gives the present layer.

        Raises :class:`StoreError` for what a layer can't hold and :class:`OutOfSpaceError`; nothing is taken in then.
        """
        if self.root / "tmp" not in tree.absolute().parents:
            raise StoreError(f"{tree} does not lie in a staging folder of the store, so it can't be moved into it")
        with full_disk_told(self.root):
            capture = Capture(os.fsencode(tree), epoch, plain_modes, true_modes or {}, private)
            state, tar_size = sha256(), 0
            with closing(stream_tar(capture.items())) as pieces:
                for piece in pieces:
                    state.update(piece)
                    tar_size += len(piece)
            capture.finish()
            diff_id = f"sha256:{state.hexdigest()}"
            record = LayerRecord(
                id=short_name(diff_id), diff_id=diff_id, size=capture.size, tar_size=tar_size,
                entries=capture.entries, created_by=created_by, created_at=time.time(), facts=capture.facts,
            )  # fmt: skip
            return self.publish_layer(tree, record)

    def publish_layer(self, tree: Path, record: LayerRecord, *, recipe: Path | None = None) -> Layer:
        """Make the finished *tree* (and a foreign tar's *recipe*) the layer of *record*. For this room only."""
        present = self.find_layer(record.diff_id)
        if present is not None:
            return present
        share_files(tree, self.root)
        # Everything below the name before the name: see durable.py for why not file by file.
        sync_file_system(tree)
        target = self.root / "l" / record.id
        with self.sharing():
            try:
                tree.rename(target)
            except OSError as error:
                # Another process was first, or was killed between its rename and its record. Either way the
                # folder came here by such a rename, whole.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            fsync_folder(target.parent)
            if recipe is not None:
                recipe.replace(self.root / "layers" / f"{record.id}.recipe")
            list_file(self.root / "layers", record.id).write_bytes(make_list(target))
            write_atomically(self._layer_file(record.diff_id), msgspec.json.encode(record))
            self._used(record.diff_id)
        return self._value(record)

    def find_layer(self, diff_id: str) -> Layer | None:
        """The layer, or None."""
        with self.sharing():
            record = self._layer(diff_id)
            if record is None:
                return None
            self._used(diff_id)
            return self._value(record)

    def layer_record(self, diff_id: str) -> LayerRecord:
        """What is kept of a layer beside its tree; :class:`NotFoundError`."""
        record = self._layer(diff_id)
        if record is None:
            raise NotFoundError(f"the store has no layer {diff_id}", hint="build or load its image again")
        return record

    def _layer_file(self, diff_id: str) -> Path:
        return self.root / "layers" / f"{short_name(diff_id)}.json"

    def _layer(self, diff_id: str) -> LayerRecord | None:
        record = read_record(self._layer_file(diff_id), LayerRecord)
        if record is None or record.diff_id != diff_id or not (self.root / "l" / record.id).is_dir():
            return None
        return record

    def _value(self, record: LayerRecord) -> Layer:
        return Layer(
            id=record.id, diff_id=record.diff_id, path=self.root / "l" / record.id, size=record.size,
            tar_size=record.tar_size, entries=record.entries, created_by=record.created_by,
        )  # fmt: skip

    # Steps

    def step(self, step_id: str) -> Layer | None:
        """The layer that the step gave, or None: not built yet, or collected."""
        path = self.root / "steps" / _step_file(step_id)
        record = read_record(path, StepRecord)
        if record is None or record.step != step_id:
            return None
        layer = self.find_layer(record.diff_id)
        if layer is not None:
            os.utime(path)  # its use, for the collector
        return layer

    def record_step(self, step_id: str, layer: Layer) -> None:
        """Remember that the step gave *layer*."""
        with self.sharing():
            self.layer_record(layer.diff_id)
            record = StepRecord(step=step_id, diff_id=layer.diff_id)
            write_atomically(self.root / "steps" / _step_file(step_id), msgspec.json.encode(record))

    # Documents

    def put_blob(self, data: bytes) -> str:
        """Keep a document; returns its digest."""
        digest = sha256_of(data)
        path = self.blob_path(digest)
        if not path.exists():
            write_atomically(path, data)
        return digest

    def read_blob(self, digest: str) -> bytes:
        """A document; :class:`NotFoundError` where it is not there, or not what its name says."""
        try:
            data = self.blob_path(digest).read_bytes()
        except FileNotFoundError:
            data = b""
        if sha256_of(data) != digest:
            raise NotFoundError(f"the store has no document {digest}", hint="build or load its image again")
        return data

    def blob_path(self, digest: str) -> Path:
        return self.root / "blobs" / hex_of(digest)

    # Images

    def put_image(self, config: ImageConfig, layers: Sequence[Layer]) -> Image:
        """An image of *layers*, lowest first. ``rootfs`` is filled in, and a missing ``history``."""
        history = config.history
        if history is None:
            history = tuple(History(created=config.created, created_by=layer.created_by) for layer in layers)
        rootfs = RootFs(diff_ids=tuple(layer.diff_id for layer in layers))
        whole = msgspec.structs.replace(config, rootfs=rootfs, history=history)
        return self.put_document(encode(whole), layers)

    def put_document(
        self,
        document: bytes,
        layers: Sequence[Layer],
        *,
        manifest: Descriptor | None = None,
        manifest_document: bytes = b"",
    ) -> Image:
        """An image whose config is *document*, as it is, which fits to *layers*. For this room only."""
        digest = sha256_of(document)
        diff_ids = tuple(layer.diff_id for layer in layers)
        path = self.root / "images" / f"{hex_of(digest)}.json"
        with full_disk_told(self.root), self.sharing():
            for layer in layers:
                self.layer_record(layer.diff_id)
            self.put_blob(document)
            if manifest is not None:
                self.put_blob(manifest_document)
            present = read_record(path, ImageRecord)
            if present is None or (manifest is not None and present.manifest != manifest):
                record = ImageRecord(digest=digest, layers=diff_ids, created_at=time.time(), manifest=manifest)
                write_atomically(path, msgspec.json.encode(record))
            self._used(digest)
            return self._image(digest, self.references())

    def image(self, name: str, *, named: bool = True) -> Image:
        """By digest (the image's, or that of the manifest it was loaded from), reference, or 12 or more of the
        digest's first digits; :class:`NotFoundError`.

        *named* False: where *name* is a digest, ``references`` stays empty; to fill it all names must be read.
        """
        with self.sharing():
            known = not named and is_digest(name) and (self.root / "images" / f"{hex_of(name)}.json").exists()
            references = {} if known else self.references()
            digest = resolve(self.root, name, references)
            self._used(digest)
            return self._image(digest, references)

    def images(self) -> tuple[Image, ...]:
        """All whole images, newest first. :func:`.check.verify` tells of others."""
        with self.sharing():
            references = self.references()
            images = []
            for _, record in list_records(self.root / "images", ImageRecord):
                try:
                    images.append(self._image(record.digest, references))
                except NotFoundError:
                    continue
        return tuple(sorted(images, key=lambda image: image.created, reverse=True))

    def references(self) -> dict[str, str]:
        """All names and the images' digests they stand for."""
        return list_references(self.root)

    def tag(self, reference: str, digest: str) -> None:
        """Let *reference* stand for an image; it may have stood for another."""
        name = str(parse_reference(reference))
        with full_disk_told(self.root), self.sharing():
            image = resolve(self.root, digest, self.references())
            record = ReferenceRecord(reference=name, image=image)
            write_atomically(reference_file(self.root, name), msgspec.json.encode(record))
            self.mark_used(image)

    def mark_used(self, digest: str) -> None:
        """Note that something is made from an image now; :mod:`.pruning` goes by it. No error where it is gone."""
        with suppress(FileNotFoundError):
            os.utime(self.root / "images" / f"{hex_of(digest)}.json")

    def untag(self, reference: str) -> bool:
        """Forget a name; the image stays until it is collected. False where there was none."""
        path = reference_file(self.root, reference)
        with self.sharing():
            present = path.exists()
            path.unlink(missing_ok=True)
            fsync_folder(path.parent)
        return present

    def remove_image(self, name: str) -> Image:
        """Forget an image and its names; its layers go with the next collection.

        By reference only that name is forgotten while there are others. :class:`ConflictError` while it is leased.
        """
        with self.alone():
            references = self.references()
            digest = resolve(self.root, name, references)
            image = self._image(digest, references)
            if len(image.references) > 1 and name_of(name, references):
                reference_file(self.root, name).unlink(missing_ok=True)
                return image
            if digest in leased_digests(self.root / "leases"):
                raise ConflictError(
                    f"image {name} is in use by a running container or build",
                    hint="stop it first: `jupyter-containers ps`",
                )
            for reference in image.references:
                reference_file(self.root, reference).unlink(missing_ok=True)
            (self.root / "images" / f"{hex_of(digest)}.json").unlink(missing_ok=True)
            fsync_folder(self.root / "refs")
            fsync_folder(self.root / "images")
            return image

    # Inside

    def _image(self, digest: str, references: dict[str, str]) -> Image:
        """The image as a value; :class:`NotFoundError` where it is not whole."""
        record = read_record(self.root / "images" / f"{hex_of(digest)}.json", ImageRecord)
        try:
            document = self.blob_path(digest).read_bytes()
        except FileNotFoundError:
            document = b""
        if record is None or not document:
            raise NotFoundError(f"image {digest} is not whole", hint="build or load it again")
        return Image(
            digest=digest,
            config=decode(document, ImageConfig, what=f"config of image {digest}"),
            layers=tuple(self._value(self.layer_record(diff_id)) for diff_id in record.layers),
            references=tuple(sorted(name for name, image in references.items() if image == digest)),
            created=record.created_at,
            manifest_digest=record.manifest.digest if record.manifest else "",
        )


def _step_file(step_id: str, suffix: str = ".json") -> str:
    if not re.fullmatch(_STEP_ID, step_id):
        raise StoreError(f"{step_id[:80]!r} can't be a step's id")
    return sha256(step_id.encode()).hexdigest()[:40] + suffix
