"""Artefacts: documents that belong to an image, attached to its manifest (image-spec 1.1, manifest.md, "Guidelines for
Artifact Usage"; distribution-spec 1.1, "Referrers").

An artefact is a manifest with a ``subject``: the manifest that it speaks of. Its parts are what an image's layers are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from ..errors import UntrustedContentError
from .digest import is_digest, sha256_of
from .model import MANIFEST_TYPE, Descriptor, Image, decode, encode

__all__ = [
    "CREATED", "EMPTY", "EMPTY_ENTRY", "TITLE", "Artifact", "ArtifactManifest", "Attach", "Part", "describe",
    "is_part", "make_artifact", "read_artifact",
]  # fmt: skip

EMPTY = b"{}"
EMPTY_ENTRY = Descriptor(media_type="application/vnd.oci.empty.v1+json", digest=sha256_of(EMPTY), size=len(EMPTY))
"""manifest.md, "Guidance for an Empty Descriptor": the config of what needs none."""
TITLE = "org.opencontainers.image.title"
"""The name of the file that a part is."""
CREATED = "org.opencontainers.image.created"
_MOST_PARTS = 64


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One document of an artefact."""

    media_type: str
    content: bytes | Path
    """The bytes, or the file that holds them."""
    title: str = ""
    """A file name."""


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """Documents about an image."""

    kind: str
    """The ``artifactType``, a media type."""
    parts: tuple[Part, ...]
    annotations: dict[str, str] = {}


Attach: TypeAlias = Callable[[Image, Descriptor], Sequence[Artifact]]
"""The artefacts of an image that has the manifest with this descriptor."""


class ArtifactManifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """manifest.md; a struct beside :class:`.model.Manifest`, whose bytes must stay what they are."""

    schema_version: int
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


def describe(part: Part) -> Descriptor:
    """The part's descriptor; a file is read for it."""
    if isinstance(part.content, bytes):
        digest, size = sha256_of(part.content), len(part.content)
    else:
        with part.content.open("rb") as stream:
            digest = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
            size = stream.tell()
    annotations = {TITLE: part.title} if part.title else {}
    return Descriptor(media_type=part.media_type, digest=digest, size=size, annotations=annotations)


def make_artifact(artifact: Artifact, subject: Descriptor, parts: Sequence[Descriptor]) -> tuple[Descriptor, bytes]:
    """The manifest of *artifact*, which speaks of *subject*, and its descriptor. *parts* are those of its parts."""
    plain = Descriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size)
    data = encode(
        ArtifactManifest(
            schema_version=2, media_type=MANIFEST_TYPE, artifact_type=artifact.kind, config=EMPTY_ENTRY,
            layers=tuple(parts), subject=plain, annotations=artifact.annotations,
        )
    )  # fmt: skip
    entry = Descriptor(
        media_type=MANIFEST_TYPE, digest=sha256_of(data), size=len(data), artifact_type=artifact.kind,
        annotations=artifact.annotations,
    )  # fmt: skip
    return entry, data


def read_artifact(data: bytes, *, what: str) -> ArtifactManifest:
    """A foreign artefact's manifest. :class:`UntrustedContentError` for what is not well formed."""
    manifest = decode(data, ArtifactManifest, what=what)
    if len(manifest.layers) > _MOST_PARTS:
        raise UntrustedContentError(f"{what}: an artefact of {len(manifest.layers)} parts, {_MOST_PARTS} are read")
    for entry in (manifest.config, *manifest.layers):
        if not is_part(entry):
            raise UntrustedContentError(f"{what}: {entry.digest[:100]!r} is not a digest that can be checked (sha256)")
    return manifest


def is_part(entry: Descriptor) -> bool:
    """Whether what *entry* names can be checked."""
    return is_digest(entry.digest) and entry.size >= 0
