"""From registry to registry, without the store: manifests byte for byte, so that digests stay."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from ..errors import InputError, NotFoundError, RegistryError, UntrustedContentError
from .artifacts import ArtifactManifest, read_artifact
from .bounds import DEFAULT_BOUNDS, Bounds
from .digest import hex_of
from .foreign import CheckedBlob
from .model import Descriptor, Index, Manifest, decode
from .parallel import run_all
from .plan import INDEX_TYPES, MANIFEST_TYPES
from .progress import Counter, Progress, quiet
from .referrers import list_referrers, put_attached
from .registry import Registry
from .registry_auth import Credential
from .registry_settings import RegistrySettings, remote_reference
from .repository import Document, Repository

__all__ = ["Copied", "copy_image", "list_tags"]

_MANIFESTS = 200
"""Of one image: platforms and their attestations; and as many again that are attached to them."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of a copy."""

    source: str
    target: str
    digest: str
    """Of the manifest or index: the same in both."""
    manifests: int
    sent: int
    """Blobs; those that the target had, or took over within its registry, are not counted."""
    attached: int = 0
    """Documents about the image (bill of materials, signatures) that went along."""


@dataclass(frozen=True, slots=True)
class _Parts:
    manifests: tuple[Document, ...]
    """Children before their parents."""
    blobs: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class _Attached:
    """What speaks of one manifest."""

    subject: str
    manifests: tuple[Document, ...]
    blobs: tuple[Descriptor, ...]


def copy_image(
    source: str,
    target: str,
    *,
    settings: RegistrySettings,
    credential: Callable[[str], Credential | None] = lambda _: None,
    attached: bool = True,
    bounds: Bounds = DEFAULT_BOUNDS,
    progress: Progress = quiet,
    notify: Callable[[str], None] = lambda _: None,
) -> Copied:
    """Copy what *source* stands for, with all of its platforms, to *target*. Blobs are checked as they pass.

    With *attached* what the registry has attached to the image or one of its platforms goes along, byte for byte, and
    what is attached to that.

    Raises :class:`NotFoundError`, :class:`RegistryError`, :class:`UntrustedContentError`,
    :class:`~jupyter_containers.errors.UnreachableError`, :class:`InputError`.
    """
    read, write = remote_reference(source), remote_reference(target)
    if write.digest:
        raise InputError(f"{target}: the digest follows from what is copied", hint="write a tag instead")
    stop = threading.Event()
    with ExitStack() as stack:
        registries = {
            name: stack.enter_context(Registry(name, settings, credential=credential, notify=notify, stop=stop))
            for name in {read.registry, write.registry}
        }
        origin = Repository(registries[read.registry], read.repository)
        goal = Repository(registries[write.registry], write.repository, writing=True)
        first = origin.manifest(read.digest or read.tag)
        parts = _collect(origin, first, bounds)
        found = _collect_attached(origin, parts.manifests, bounds, notify) if attached else []
        artifacts = [blob for one in found for blob in one.blobs]
        blobs = {blob.digest: blob for blob in (*parts.blobs, *artifacts)}
        counter = Counter("copying", 0, progress)
        jobs = [partial(_copy_blob, origin, goal, blob, counter) for blob in blobs.values()]
        sent = sum(run_all(jobs, parallel=settings.parallel, stop=stop))
        for document in parts.manifests:
            goal.put_manifest(document, write.tag if document == first else document.descriptor.digest)
        for one in found:
            put_attached(goal, one.subject, one.manifests)
    count = sum(len(one.manifests) for one in found)
    return Copied(str(read), str(write), first.descriptor.digest, len(parts.manifests), sent, count)


def list_tags(
    name: str, *, settings: RegistrySettings, credential: Callable[[str], Credential | None] = lambda _: None
) -> Iterator[str]:
    """The tags of the repository that *name* is in, as the registry sorts them."""
    reference = remote_reference(name)
    with Registry(reference.registry, settings, credential=credential) as registry:
        yield from Repository(registry, reference.repository).tags()


def _collect(origin: Repository, first: Document, bounds: Bounds) -> _Parts:
    """All documents below *first*, in bounded number and depth, and all blobs that they name."""
    documents: dict[str, Document] = {}
    blobs: dict[str, Descriptor] = {}

    def visit(document: Document, depth: int) -> None:
        what = f"{origin}, {document.descriptor.digest}"
        if depth > bounds.manifest_depth:
            raise UntrustedContentError(f"{what}: indexes nested more than {bounds.manifest_depth} deep")
        if len(documents) >= _MANIFESTS:
            raise UntrustedContentError(f"{what}: more than {_MANIFESTS} manifests are not an image")
        if document.descriptor.media_type in MANIFEST_TYPES:
            manifest = decode(document.data, Manifest, what=what)
            for blob in (manifest.config, *manifest.layers):
                hex_of(blob.digest)
                blobs.setdefault(blob.digest, blob)
        else:
            for entry in decode(document.data, Index, what=what).manifests:
                if entry.media_type not in MANIFEST_TYPES and entry.media_type not in INDEX_TYPES:
                    raise UntrustedContentError(f"{what}: {entry.media_type[:100]!r} is no image's media type")
                if entry.digest not in documents:
                    visit(Document(entry, origin.read_document(entry)), depth + 1)
        documents[document.descriptor.digest] = document

    visit(first, 0)
    return _Parts(tuple(documents.values()), tuple(blobs.values()))


def _collect_attached(
    origin: Repository, documents: tuple[Document, ...], bounds: Bounds, notify: Callable[[str], None]
) -> list[_Attached]:
    """What is attached to *documents*, and to what is attached to them, in bounded number and depth."""
    found: list[_Attached] = []
    subjects, seen = [document.descriptor.digest for document in documents], set[str]()
    for _ in range(bounds.manifest_depth):
        following: list[str] = []
        for subject in subjects:
            manifests, blobs = [], []
            for entry in list_referrers(origin, subject):
                what = f"{origin}, {entry.digest[:100]}"
                if entry.digest in seen:
                    continue
                seen.add(entry.digest)
                if len(seen) > _MANIFESTS:
                    raise UntrustedContentError(
                        f"{origin}: more than {_MANIFESTS} documents are attached to one image",
                        hint="`copy --no-attach` leaves them behind",
                    )
                manifest = _read_attached(origin, entry, what)
                if manifest is None or manifest[1].subject is None or manifest[1].subject.digest != subject:
                    notify(f"{what} is listed as attached to {subject[:19]}, and is not: left behind")
                    continue
                manifests.append(manifest[0])
                blobs += [manifest[1].config, *manifest[1].layers]
            if manifests:
                found.append(_Attached(subject, tuple(manifests), tuple(blobs)))
                following += [document.descriptor.digest for document in manifests]
        subjects = following
    return found


def _read_attached(origin: Repository, entry: Descriptor, what: str) -> tuple[Document, ArtifactManifest] | None:
    if entry.media_type not in MANIFEST_TYPES:
        return None
    data = origin.read_document(entry)
    return Document(entry, data), read_artifact(data, what=what)


def _copy_blob(origin: Repository, goal: Repository, entry: Descriptor, counter: Counter) -> int:
    """1 where the blob was sent, 0 where it need not be."""
    if goal.has_blob(entry.digest):
        return 0
    if origin.registry is goal.registry and origin.name != goal.name and _mounted(origin, goal, entry):
        return 0
    counter.add(0, total=entry.size)
    goal.upload(entry, partial(_checked, origin, entry), counter)
    return 1


def _mounted(origin: Repository, goal: Repository, entry: Descriptor) -> bool:
    try:
        return goal.mount(entry.digest, origin.name)
    except (RegistryError, NotFoundError):
        return False  # it is sent, then


def _checked(origin: Repository, entry: Descriptor, start: int) -> Iterator[bytes]:
    """The blob from *start* on; all of it passes the check where an upload is taken up again."""
    with origin.open_blob(entry, Counter("", 0, quiet)) as stream:
        blob = CheckedBlob(stream, entry, what=f"{origin}, {entry.digest}")
        while piece := blob.read(_PIECE):
            if start >= len(piece):
                start -= len(piece)
                continue
            yield piece[start:]
            start = 0
        blob.finish()
