"""Image references: ``name:tag``, ``registry/name:tag``, ``registry/name@sha256:…``.

Grammar: the reference implementation of OCI distribution-spec 1.1 (``distribution/reference``, ``reference.go``).
The first component is a registry when it has a dot, a colon or an upper-case letter, or is ``localhost``.
"""

from __future__ import annotations

import re

import msgspec

from ..errors import ReferenceError
from .digest import parse_digest

__all__ = ["Reference", "parse_reference"]

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_LONGEST = 255
"""Characters of registry and repository together."""


class Reference(msgspec.Struct, frozen=True, order=True):
    """A name for an image. An environment's name is one: ``thesis`` stands for ``thesis:latest``."""

    registry: str
    """``ghcr.io``, ``localhost:5000``; empty for an image that has only been here."""
    repository: str
    tag: str = ""
    digest: str = ""
    """Of a manifest. Where both are given the digest decides."""

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}@{self.digest}" if self.digest else f"{self.name}{tag}"


def parse_reference(text: str) -> Reference:
    """Parse *text*; without tag and digest the tag is ``latest``. Raises :class:`ReferenceError`."""
    rest, at, digest = text.partition("@")
    if at:
        parse_digest(digest)
    first, slash, _ = rest.partition("/")
    registry = first if slash and _is_registry(first) else ""
    path = rest[len(registry) + 1 :] if registry else rest
    repository, colon, tag = path.partition(":")
    if registry and not re.fullmatch(_REGISTRY, registry):
        raise _refuse(text, f"{registry!r} is not a registry's host name")
    if not re.fullmatch(_REPOSITORY, repository):
        raise _refuse(text, f"{repository!r} is not a repository name")
    if colon and not re.fullmatch(_TAG, tag):
        raise _refuse(text, f"{tag!r} is not a tag")
    if len(rest) - len(tag) > _LONGEST:
        raise _refuse(text, f"it is longer than {_LONGEST} characters")
    return Reference(registry, repository, tag if at or colon else "latest", digest)


def _is_registry(component: str) -> bool:
    return component == "localhost" or "." in component or ":" in component or component.lower() != component


def _refuse(text: str, cause: str) -> ReferenceError:
    return ReferenceError(
        f"{text[:300]!r} is not an image reference: {cause}",
        hint="write NAME:TAG, REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:…; names are lower-case",
    )
