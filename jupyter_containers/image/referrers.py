"""Artefacts in a registry: attached to a manifest, listed, read (distribution-spec 1.1, "Listing Referrers", "Pushing
Manifests with Subject").

A registry that knows of subjects says so with the header ``OCI-Subject``. For others the client keeps the list itself,
in an index under a tag made of the subject's digest ("Referrers Tag Schema"). Two clients that attach something to one
image at the same moment may then lose one of the two, which the specification leaves open as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from ..errors import NotFoundError, UntrustedContentError
from .artifacts import EMPTY, EMPTY_ENTRY, TITLE, Artifact, Part, describe, make_artifact, read_artifact
from .digest import hex_of, sha256_of
from .model import INDEX_TYPE, LONGEST_DOCUMENT, MANIFEST_TYPE, Descriptor, Index, decode, encode
from .progress import Counter
from .repository import Document, Repository

__all__ = ["attach_all", "list_referrers", "put_attached", "read_referrer"]

_PIECE = 1 << 20
_MOST = 200
"""Referrers of one image that are looked at."""


def attach_all(
    repository: Repository, subject: Descriptor, artifacts: Sequence[Artifact], counter: Counter
) -> tuple[str, ...]:
    """Send *artifacts* of the manifest *subject*, which is there; the digests of their manifests.

    Errors are those of :meth:`.Registry.call`.
    """
    documents = []
    for artifact in artifacts:
        parts = [describe(part) for part in artifact.parts]
        contents: list[tuple[Descriptor, bytes | Path]] = [(EMPTY_ENTRY, EMPTY)]
        contents += [(entry, part.content) for entry, part in zip(parts, artifact.parts, strict=True)]
        for blob, content in contents:
            if not repository.has_blob(blob.digest):
                counter.add(0, total=blob.size)
                repository.upload(blob, partial(_read, content), counter)
        documents.append(Document(*make_artifact(artifact, subject, parts)))
    put_attached(repository, subject.digest, documents)
    return tuple(document.descriptor.digest for document in documents)


def put_attached(repository: Repository, subject: str, documents: Sequence[Document]) -> None:
    """Keep manifests that speak of the manifest of digest *subject*. Their blobs must be there."""
    known = [repository.put_manifest(document, document.descriptor.digest) for document in documents]
    if not all(known):
        _list_under_tag(repository, subject, [document.descriptor for document in documents])


def list_referrers(repository: Repository, digest: str) -> tuple[Descriptor, ...]:
    """The artefacts of the manifest *digest*, by the registry's list, or else the one under the tag."""
    try:
        data = repository.referrers(digest)
    except NotFoundError:
        return _tagged(repository, digest)
    return decode(data, Index, what=f"{repository}, referrers of {digest}").manifests[:_MOST]


def read_referrer(repository: Repository, entry: Descriptor, subject: str, *, limit: int) -> Artifact | None:
    """The artefact *entry*, where it is one of *subject* and has at most *limit* bytes; else None.

    Raises :class:`UntrustedContentError` for what is not what it says.
    """
    what = f"{repository}, {entry.digest}"
    if entry.media_type != MANIFEST_TYPE:
        return None
    manifest = read_artifact(repository.read_document(entry), what=what)
    if manifest.subject is None or manifest.subject.digest != subject:
        return None
    if sum(part.size for part in manifest.layers) > limit:
        return None
    parts = tuple(
        Part(
            media_type=part.media_type, content=_read_part(repository, part), title=part.annotations.get(TITLE, "")
        )
        for part in manifest.layers
    )  # fmt: skip
    return Artifact(kind=manifest.artifact_type, parts=parts, annotations=manifest.annotations)


def _read_part(repository: Repository, entry: Descriptor) -> bytes:
    plain = msgspec.structs.replace(entry, media_type="application/octet-stream")
    return repository.read_document(plain, limit=entry.size)


def _list_under_tag(repository: Repository, subject: str, entries: Sequence[Descriptor]) -> None:
    known = {entry.digest: entry for entry in (*_tagged(repository, subject), *entries)}
    data = encode(Index(schema_version=2, manifests=tuple(known.values())))
    if len(data) > LONGEST_DOCUMENT:
        raise UntrustedContentError(f"{repository}: the list of what is attached to {subject} is too long")
    index = Descriptor(media_type=INDEX_TYPE, digest=sha256_of(data), size=len(data))
    repository.put_manifest(Document(index, data), _tag(subject))


def _tagged(repository: Repository, digest: str) -> tuple[Descriptor, ...]:
    try:
        document = repository.manifest(_tag(digest))
    except NotFoundError:
        return ()
    if document.descriptor.media_type != INDEX_TYPE:
        return ()  # somebody's image that is called so
    return decode(document.data, Index, what=f"{repository}, referrers of {digest}").manifests[:_MOST]


def _tag(digest: str) -> str:
    return f"sha256-{hex_of(digest)}"


def _read(content: bytes | Path, start: int) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content[start:]
        return
    with content.open("rb") as stream:
        stream.seek(start)
        while piece := stream.read(_PIECE):
            yield piece
