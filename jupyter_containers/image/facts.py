"""What a layer's tar says and its tree on disk does not: true modes, capabilities, which names are hard links.

On disk a layer is harmless and readable for the store's user; the differences are kept here, with the layer's
record, so that the tar that is written for a registry is the one whose hash is the diff_id.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

__all__ = ["Facts", "quote_name", "unquote_name"]

_DROPPED_LISTED = 100


class Facts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Filled while a tree is captured, by names as in the tar (see :func:`quote_name`)."""

    modes: dict[str, int] = {}
    """Where the true mode is not the one on disk."""
    xattrs: dict[str, dict[str, str]] = {}
    """Attributes that were taken off, by name and in base64."""
    links: dict[str, str] = {}
    """Hard links inside the tree: the name, and the name that came first. Not told by inode numbers later on,
    because files are shared by content between layers, too."""
    dropped: list[str] = []
    """Sockets and devices, which a layer can't have; the first hundred."""

    def add_xattr(self, name: bytes, key: str, value: bytes) -> None:
        self.xattrs.setdefault(quote_name(name), {})[key] = base64.b64encode(value).decode()

    def drop(self, name: bytes) -> None:
        if len(self.dropped) < _DROPPED_LISTED:
            self.dropped.append(quote_name(name))

    def xattrs_of(self, name: bytes) -> Mapping[bytes, bytes]:
        if not self.xattrs:
            return {}
        found = self.xattrs.get(quote_name(name), {})
        return {key.encode(): base64.b64decode(value) for key, value in found.items()}


def quote_name(name: bytes) -> str:
    """A file name as text for JSON: itself, or percent-encoded where it is not UTF-8 or has a ``%``."""
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return quote_from_bytes(name)
    return quote_from_bytes(name) if "%" in text else text


def unquote_name(text: str) -> bytes:
    """The inverse of :func:`quote_name`."""
    return unquote_to_bytes(text)
