"""An image in a file together with its artefacts: the documents in an OCI layout that have it as their subject.

The documents are untrusted as all of the file is: in bounded number, depth and size, each of the digest that names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..errors import UntrustedContentError
from .archive import Archive
from .artifacts import TITLE, Artifact, ArtifactManifest, Part, is_part, read_artifact
from .attached import LARGEST, attach
from .bounds import DEFAULT_BOUNDS, Bounds
from .foreign import CheckedBlob
from .layout import host_architecture, load_plan, opened, plan_all, read_blob, read_index
from .model import Descriptor, Image, Index, decode
from .plan import INDEX_TYPES, MANIFEST_TYPES, Plan, blob_name, check_plan
from .progress import Progress, quiet
from .store import Store

__all__ = ["Enclosed", "find_artifacts", "load_all", "open_images"]

_DOCUMENTS = 200
"""Manifests and indexes that are looked at."""


class Enclosed:
    """An image in a file that is open, checked but for its layers, and its artefacts."""

    def __init__(self, store: Store, archive: Archive, plan: Plan, names: tuple[str, ...], bounds: Bounds) -> None:
        self.plan, self.names = plan, names
        self._store, self._archive, self._bounds = store, archive, bounds
        self.artifacts: tuple[ArtifactManifest, ...] = ()
        if plan.manifest is not None:
            self.artifacts = find_artifacts(archive, plan.manifest, bounds)

    def load(self, *, progress: Progress = quiet) -> Image:
        """Take the image, and its artefacts that are small, into the store.

        Errors are those of :func:`.layout.load`.
        """
        image = load_plan(self._store, self._archive, self.plan, self._bounds, progress)
        for manifest in self.artifacts:
            if sum(entry.size for entry in manifest.layers) <= LARGEST:
                attach(self._store, image.digest, self._whole(manifest))
        return image

    def read(self, entry: Descriptor, limit: int) -> bytes:
        """A part of an artefact; :class:`UntrustedContentError` where it is longer than *limit* bytes, or another."""
        return read_blob(self._archive, entry, limit=limit)

    @contextmanager
    def open(self, entry: Descriptor) -> Iterator[CheckedBlob]:
        """A part as a stream; who reads it calls its ``finish``."""
        what = f"{self._archive.what}, {entry.digest}"
        with self._archive.open(blob_name(entry, self._archive.what)) as (stream, _):
            yield CheckedBlob(stream, entry, what=what)

    def _whole(self, manifest: ArtifactManifest) -> Artifact:
        parts = tuple(
            Part(
                media_type=entry.media_type, content=self.read(entry, LARGEST), title=entry.annotations.get(TITLE, "")
            )
            for entry in manifest.layers
        )  # fmt: skip
        return Artifact(kind=manifest.artifact_type, parts=parts, annotations=manifest.annotations)


@contextmanager
def open_images(
    store: Store, path: Path, *, architecture: str = "", bounds: Bounds = DEFAULT_BOUNDS
) -> Iterator[Iterator[Enclosed]]:
    """The images in *path*, of each index of platforms the one for *architecture* (default: the host's).

    Errors are those of :func:`.layout.load`.
    """
    with store.lease(), opened(store, path, bounds) as archive:
        yield _images(store, archive, architecture or host_architecture(), bounds)


def load_all(
    store: Store, path: Path, *, architecture: str = "", bounds: Bounds = DEFAULT_BOUNDS, progress: Progress = quiet
) -> tuple[tuple[Image, tuple[str, ...]], ...]:
    """Take all images in *path*, and their artefacts, into the store: each with the names that the archive has for
    it, which it does not get. Errors are those of :func:`.layout.load`."""
    found: dict[str, tuple[Image, tuple[str, ...]]] = {}
    with open_images(store, path, architecture=architecture, bounds=bounds) as images:
        for one in images:
            image = one.load(progress=progress)
            before = found[image.digest][1] if image.digest in found else ()
            found[image.digest] = image, tuple(dict.fromkeys((*before, *one.names)))
    return tuple(found.values())


def _images(store: Store, archive: Archive, architecture: str, bounds: Bounds) -> Iterator[Enclosed]:
    for plan, names in plan_all(archive, architecture, bounds):
        check_plan(plan, archive.what, bounds)
        yield Enclosed(store, archive, plan, names, bounds)


def find_artifacts(archive: Archive, subject: Descriptor, bounds: Bounds) -> tuple[ArtifactManifest, ...]:
    """The artefacts whose subject is the manifest *subject*, wherever in the layout's indexes they are named."""
    seen: set[str] = {subject.digest}
    found: list[ArtifactManifest] = []

    def visit(index: Index, depth: int) -> None:
        for entry in index.manifests:
            if entry.digest in seen or not is_part(entry):
                continue
            seen.add(entry.digest)
            if len(seen) > _DOCUMENTS:
                raise UntrustedContentError(f"{archive.what}: more than {_DOCUMENTS} manifests are not an image")
            read = partial(read_blob, archive, entry)
            what = f"{archive.what}, {entry.digest}"
            if entry.media_type in INDEX_TYPES and depth < bounds.manifest_depth:
                visit(decode(read(), Index, what=what), depth + 1)
            elif entry.media_type in MANIFEST_TYPES:
                manifest = read_artifact(read(), what=what)
                if manifest.subject is not None and manifest.subject.digest == subject.digest:
                    found.append(manifest)

    visit(read_index(archive), 0)
    return tuple(found)
