"""Pushing: an image of the store into a registry. Only blobs that the registry has not yet are sent.

An image that was pulled goes with its own manifest, and so keeps its digest, where the registry has all of its blobs
or can take them over from another of its repositories. Otherwise layers are compressed anew, and the manifest is the
one that saving the image to a file gives, too.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import InputError, NotFoundError, RegistryError
from .artifacts import Attach
from .blobs import (
    Compression,
    make_manifest,
    remember_place,
    remembered,
    remembered_places,
    write_blob,
)
from .digest import sha256_of
from .durable import full_disk_told
from .model import CONFIG_TYPE, MANIFEST_TYPE, Descriptor, Image, Layer, Manifest, decode
from .parallel import run_all
from .progress import Counter, Progress, quiet
from .reference import Reference, parse_reference
from .referrers import attach_all
from .registry import Registry
from .registry_auth import Credential
from .registry_settings import RegistrySettings, remote_reference
from .repository import Document, Repository
from .store import Store

__all__ = ["Pushed", "push"]

_PIECE = 1 << 20
_MOUNTS = 3
"""Repositories that are asked for one blob."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of a push."""

    reference: str
    digest: str
    """Of the manifest."""
    sent: int
    """Blobs."""
    mounted: int
    """Blobs that the registry took over from another of its repositories."""
    present: int
    original: bool
    """Whether the manifest is the one that the image was pulled with."""
    attached: tuple[str, ...] = ()
    """Digests of the manifests of the artefacts that went along."""


def push(
    store: Store,
    image: Image,
    name: str,
    *,
    settings: RegistrySettings,
    credential: Callable[[str], Credential | None] = lambda _: None,
    compression: Compression | None = None,
    attach: Attach | None = None,
    progress: Progress = quiet,
    notify: Callable[[str], None] = lambda _: None,
) -> Pushed:
    """Send *image* to the registry, repository and tag of *name*, which has to name them.

    *compression* of layers, also of those that were pulled with another; None: gzip, and a pulled image as it came.
    *attach* gives artefacts that are sent after it.
    Raises :class:`InputError`, :class:`~jupyter_containers.errors.UnreachableError`, :class:`RegistryError` and,
    where the store is damaged, :class:`~jupyter_containers.errors.StoreError`.
    """
    given = parse_reference(name)
    if not given.registry:
        raise InputError(
            f"{name} has no registry to be pushed to",
            hint=f"write where: `jupyter containers push {name} REGISTRY/{given.repository}:{given.tag or 'latest'}`",
        )
    reference = remote_reference(name)
    if reference.digest:
        raise InputError(f"{name}: the digest follows from what is pushed", hint="write a tag instead")
    stop = threading.Event()
    with (
        store.lease([image.digest]),
        Registry(reference.registry, settings, credential=credential, notify=notify, stop=stop) as registry,
    ):
        repository = Repository(registry, reference.repository, writing=True)
        pushing = _Push(store, image, reference, repository, progress)
        pushed = (pushing.as_it_came() if compression is None else None) or pushing.anew(compression or "gzip")
        if attach is None:
            return pushed
        subject = repository.manifest(pushed.digest).descriptor
        attached = attach_all(repository, subject, attach(image, subject), Counter("attaching", 0, progress))
        return dataclasses.replace(pushed, attached=attached)


class _Push:
    def __init__(
        self, store: Store, image: Image, reference: Reference, repository: Repository, progress: Progress
    ) -> None:
        self._store, self._image, self._reference, self._repository = store, image, reference, repository
        self._progress = progress
        self._counter = Counter("pushing", 0, progress)
        self._compressing = threading.Lock()
        self._sent = self._mounted = self._present = 0
        self._lock = threading.Lock()

    def as_it_came(self) -> Pushed | None:
        """With the manifest that the image was pulled with; None where that can't be."""
        record = self._store.image_record(self._image.digest)
        if record.manifest is None:
            return None
        try:
            data = self._store.blob_path(record.manifest.digest).read_bytes()
        except FileNotFoundError:
            return None
        manifest = decode(data, Manifest, what=f"manifest {record.manifest.digest}")
        for entry in manifest.layers:
            if not self._is_there(entry):
                self._sent = self._mounted = self._present = 0
                return None
        return self._finish(manifest.config, Document(record.manifest, data), original=True)

    def anew(self, compression: Compression) -> Pushed:
        """With layers compressed here."""
        layers = {layer.diff_id: layer for layer in self._image.layers}
        registry = self._repository.registry
        # Until a blob's size is known, that of the tar stands for it: a bar that only grows would tell nothing.
        self._counter.add(0, total=sum(layer.tar_size for layer in layers.values()))
        with full_disk_told(self._store.root), self._store.staging() as staging:
            jobs = [partial(self._send_layer, layer, compression, staging.path) for layer in layers.values()]
            entries = run_all(jobs, parallel=registry.settings.parallel, stop=registry.stop)
        size = self._store.blob_path(self._image.digest).stat().st_size
        data = make_manifest(self._image, size, dict(zip(layers, entries, strict=True)))
        descriptor = Descriptor(media_type=MANIFEST_TYPE, digest=sha256_of(data), size=len(data))
        config = Descriptor(media_type=CONFIG_TYPE, digest=self._image.digest, size=size)
        return self._finish(config, Document(descriptor, data), original=False)

    def _finish(self, config: Descriptor, manifest: Document, *, original: bool) -> Pushed:
        if not self._is_there(config):
            data = self._store.blob_path(config.digest).read_bytes()
            self._counter.add(0, total=config.size)
            self._upload(config, lambda start: iter([data[start:]]))
        self._repository.put_manifest(manifest, self._reference.tag)
        return Pushed(
            str(self._reference), manifest.descriptor.digest, self._sent, self._mounted, self._present, original
        )

    def _send_layer(self, layer: Layer, compression: Compression, folder: Path) -> Descriptor:
        entry = remembered(self._store, layer, compression)
        if entry is not None and self._is_there(entry):
            self._counter.add(0, total=-layer.tar_size)
            return entry
        blob = folder / layer.id
        try:
            with self._compressing:  # one layer has all cores, while others are on their way
                made = write_blob(self._store, layer, compression, blob)
            missing = made == entry or not self._is_there(made)
            self._counter.add(0, total=(made.size if missing else 0) - layer.tar_size)
            if missing:
                self._upload(made, partial(_read_file, blob))
        finally:
            blob.unlink(missing_ok=True)
        return made

    def _is_there(self, entry: Descriptor) -> bool:
        """Whether the repository has the blob, or now has it from another one of its registry."""
        place = str(self._repository)
        if self._repository.has_blob(entry.digest):
            with self._lock:
                self._present += 1
        elif self._mount(entry):
            with self._lock:
                self._mounted += 1
        else:
            return False
        remember_place(self._store, entry.digest, place)
        return True

    def _mount(self, entry: Descriptor) -> bool:
        prefix = f"{self._repository.registry.name}/"
        places = [place for place in remembered_places(self._store, entry.digest) if place.startswith(prefix)]
        for place in places[:_MOUNTS]:
            source = place.removeprefix(prefix)
            try:
                if source != self._repository.name and self._repository.mount(entry.digest, source):
                    return True
            except (RegistryError, NotFoundError):
                continue  # that one is not for us; the blob is sent
        return False

    def _upload(self, entry: Descriptor, read: Callable[[int], Iterator[bytes]]) -> None:
        self._repository.upload(entry, read, self._counter)
        remember_place(self._store, entry.digest, str(self._repository))
        with self._lock:
            self._sent += 1


def _read_file(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while piece := stream.read(_PIECE):
            yield piece
