"""Digests: ``sha256:`` and 64 lower-case hexadecimal digits (OCI image-spec 1.1, descriptor.md, "Digests")."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import BinaryIO, Protocol

from ..errors import ReferenceError

__all__ = ["Hash", "hex_of", "is_digest", "parse_digest", "sha256_of", "sha256_of_stream", "short_name"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_READ = 1 << 20


class Hash(Protocol):
    """What of a :mod:`hashlib` object is used here."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


def is_digest(text: str) -> bool:
    """Whether *text* is a well formed sha256 digest."""
    return _DIGEST.fullmatch(text) is not None


def parse_digest(text: str) -> str:
    """Return *text* if it is a well formed sha256 digest; :class:`ReferenceError` otherwise.

    A digest becomes part of paths in the store, so nothing that comes from outside is used before it was here.
    """
    if is_digest(text):
        return text
    raise ReferenceError(
        f"{text[:100]!r} is not a digest", hint="a digest is `sha256:` and 64 lower-case hexadecimal digits"
    )


def hex_of(digest: str) -> str:
    """The 64 digits of a well formed digest."""
    return parse_digest(digest).removeprefix("sha256:")


def sha256_of(data: bytes | bytearray | memoryview) -> str:
    """The digest of *data*."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sha256_of_stream(stream: BinaryIO) -> tuple[str, int]:
    """The digest and the size in bytes of the rest of *stream*."""
    state, size = hashlib.sha256(), 0
    while data := stream.read(_READ):
        state.update(data)
        size += len(data)
    return f"sha256:{state.hexdigest()}", size


def short_name(digest: str) -> str:
    """26 characters, lower-case base 32, of a digest's first 128 bits: a layer's folder name.

    Short because the mount options of an overlay, with all its layers' paths, have to fit in one page
    (mount(2)); 128 bits because no two layers may ever meet in one name.
    """
    return base64.b32encode(bytes.fromhex(hex_of(digest))[:16]).decode().rstrip("=").lower()
