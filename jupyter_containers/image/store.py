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
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from ..errors import ConflictError, NotFoundError, StoreError
from .capture import EPOCH, Capture
from .copies import check_tree, copy_recipe, copy_tree, open_up
from .digest import is_digest, sha256_of, short_name
from .durable import fsync_folder, full_disk_told, sync_file_system
from .ground import Ground, Staging
from .layer import stream_tar
from .lease import leased_digests
from .lookup import name_of, reference_file
from .model import Descriptor, History, Image, ImageConfig, Layer, RootFs, decode, encode
from .records import ImageRecord, LayerRecord, ReferenceRecord, StepRecord
from .reference import parse_reference
from .sharing import Listing, list_file, list_files, share_files
from .shelf import Shelf

__all__ = ["EPOCH", "Staging", "Store"]


class Store(Ground):
    """The store in the folder *root*, which is made where missing. Open as many as you like."""

    # Layers

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
            return self.publish_layer(tree, record, files=capture.files)

    def publish_layer(
        self, tree: Path, record: LayerRecord, *, recipe: Path | None = None, files: Listing | None = None
    ) -> Layer:
        """Make the finished *tree* (and a foreign tar's *recipe*) the layer of *record*. For this room only.

        *files*: what is in it, where that is known already.
        """
        present = self._present(record.diff_id)
        if present is not None:
            return present
        if self.is_shared:
            record = msgspec.structs.replace(record, facts=open_up(tree, record.facts))
            files = None  # it changes modes
        listing = files or list_files(tree)
        share_files(tree, self.root, listing)
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
                recipe.chmod(self.record_mode)
                recipe.replace(self.root / "layers" / f"{record.id}.recipe")
            list_file(self.root / "layers", record.id).write_bytes(listing.encode())
            self._write(self._shelf.layer_file(record.diff_id), msgspec.json.encode(record))
            self._used(record.diff_id)
        return _value(self._shelf, record)

    def find_layer(self, diff_id: str) -> Layer | None:
        """The layer, or None. From another user's shared store it is copied first."""
        return self._present(diff_id) or self._adopt(diff_id)

    def _present(self, diff_id: str) -> Layer | None:
        with self.sharing():
            for shelf in self._shelves:
                record = shelf.layer(diff_id)
                if record is not None and not shelf.is_foreign:
                    self._used(diff_id)
                    return _value(shelf, record)
        return None

    def _adopt(self, diff_id: str) -> Layer | None:
        """Copy a layer whose files are another user's, which a container of this one could not change."""
        for shelf in self.below:
            record, held = shelf.layer(diff_id), shelf.hold(diff_id)
            if record is None or held is None:
                continue
            try:
                with full_disk_told(self.root), self.staging() as staging:
                    facts = copy_tree(shelf.tree(record), record.facts, staging.fs)
                    check_tree(staging.fs, facts, shelf.recipe(record) if record.recipe else None, diff_id)
                    recipe = copy_recipe(shelf.recipe(record), staging.path) if record.recipe else None
                    return self.publish_layer(staging.fs, msgspec.structs.replace(record, facts=facts), recipe=recipe)
            finally:
                os.close(held)
        return None

    # Steps

    def step(self, step_id: str) -> Layer | None:
        """The layer that the step gave, or None: not built yet, or collected."""
        for shelf in self._shelves:
            record = shelf.step(step_id)
            layer = self.find_layer(record.diff_id) if record is not None else None
            if layer is not None:
                if not shelf.is_shared:
                    os.utime(shelf.step_file(step_id))  # its use, for the collector
                return layer
        return None

    def record_step(self, step_id: str, layer: Layer) -> None:
        """Remember that the step gave *layer*."""
        with self.sharing():
            self.layer_record(layer.diff_id)
            record = StepRecord(step=step_id, diff_id=layer.diff_id)
            self._write(self._shelf.step_file(step_id), msgspec.json.encode(record))

    # Documents

    def put_blob(self, data: bytes) -> str:
        """Keep a document; returns its digest."""
        digest = sha256_of(data)
        path = self._shelf.blob(digest)
        if not path.exists():
            self._write(path, data)
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
        """Where the document is, or would be."""
        found = (path for shelf in self._shelves if (path := shelf.blob(digest)).exists())
        return next(found, self._shelf.blob(digest))

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
        with full_disk_told(self.root), self.sharing():
            for layer in layers:
                self.layer_record(layer.diff_id)
            self.put_blob(document)
            if manifest is not None:
                self.put_blob(manifest_document)
            present = self._shelf.image(digest)
            if present is None or (manifest is not None and present.manifest != manifest):
                record = ImageRecord(digest=digest, layers=diff_ids, created_at=time.time(), manifest=manifest)
                self._write(self._shelf.image_file(digest), msgspec.json.encode(record))
            self._used(digest)
            return self._image(digest, self.references())

    def image(self, name: str, *, named: bool = True) -> Image:
        """By digest (the image's, or that of the manifest it was loaded from), reference, or 12 or more of the
        digest's first digits; :class:`NotFoundError`.

        *named* False: where *name* is a digest, ``references`` stays empty; to fill it all names must be read.
        """
        with self.sharing():
            known = not named and is_digest(name) and self._shelf.image_file(name).exists()
            references = {} if known else self.references()
            digest = self._find(name, references)
            self._used(digest)
            image = self._image(digest, references)
        foreign = [shelf.root for shelf in self.below if shelf.is_foreign]
        if foreign and any(root in path.parents for path in image.layer_paths for root in foreign):
            return self._adopt_image(image)
        return image

    def _adopt_image(self, image: Image) -> Image:
        """*image*, which lies in another user's shared store, with layers of this one."""
        record = self.image_record(image.digest)
        layers = [layer for diff_id in record.layers if (layer := self.find_layer(diff_id)) is not None]
        if len(layers) != len(record.layers):
            raise NotFoundError(f"image {image.digest} is not whole", hint="its shared store may just have been pruned")
        manifest = self.read_blob(record.manifest.digest) if record.manifest else b""
        document = self.read_blob(image.digest)
        return self.put_document(document, layers, manifest=record.manifest, manifest_document=manifest)

    def image_record(self, digest: str) -> ImageRecord:
        """What is kept of an image beside its documents; :class:`NotFoundError`."""
        for shelf in self._shelves:
            record = shelf.image(digest)
            if record is not None:
                return record
        raise NotFoundError(f"image {digest} is not whole", hint="build or load it again")

    def images(self) -> tuple[Image, ...]:
        """All whole images, newest first. :func:`.check.verify` tells of others."""
        with self.sharing():
            references = self.references()
            images = []
            for digest in dict.fromkeys(record.digest for shelf in self._shelves for record in shelf.images()):
                try:
                    images.append(self._image(digest, references))
                except NotFoundError:
                    continue
        return tuple(sorted(images, key=lambda image: image.created, reverse=True))

    def tag(self, reference: str, digest: str) -> None:
        """Let *reference* stand for an image; it may have stood for another."""
        name = str(parse_reference(reference))
        with full_disk_told(self.root), self.sharing():
            image = self._find(digest, self.references())
            record = ReferenceRecord(reference=name, image=image)
            self._write(reference_file(self.root, name), msgspec.json.encode(record))
            self.mark_used(image)

    def mark_used(self, digest: str) -> None:
        """Note that something is made from an image now; :mod:`.pruning` goes by it. No error where it is gone."""
        with suppress(FileNotFoundError):
            os.utime(self._shelf.image_file(digest))

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
            digest = self._find(name, references)
            image = self._image(digest, references)
            own = self._shelf.references()
            if self._shelf.image(digest) is None and not any(reference in own for reference in image.references):
                raise ConflictError(
                    f"image {name} belongs to a shared store", hint="its administrator can remove it from there"
                )
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
            if not self.is_shared:  # there readers hold it by its record, which is the collector's to look at
                self._shelf.image_file(digest).unlink(missing_ok=True)
            fsync_folder(self.root / "refs")
            fsync_folder(self.root / "images")
            return image

    # Inside

    def _image(self, digest: str, references: dict[str, str]) -> Image:
        """The image as a value; :class:`NotFoundError` where it is not whole."""
        record = self.image_record(digest)
        try:
            document = self.blob_path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"image {digest} is not whole", hint="build or load it again") from None
        return Image(
            digest=digest,
            config=decode(document, ImageConfig, what=f"config of image {digest}"),
            layers=tuple(_value(*self._shelved(diff_id)) for diff_id in record.layers),
            references=tuple(sorted(name for name, image in references.items() if image == digest)),
            created=record.created_at,
            manifest_digest=record.manifest.digest if record.manifest else "",
        )


def _value(shelf: Shelf, record: LayerRecord) -> Layer:
    return Layer(
        id=record.id, diff_id=record.diff_id, path=shelf.tree(record), size=record.size, tar_size=record.tar_size,
        entries=record.entries, created_by=record.created_by,
    )  # fmt: skip
