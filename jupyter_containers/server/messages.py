"""Server-sent events as bytes (HTML standard, section 9.2)."""

from __future__ import annotations

__all__ = ["STILL_HERE", "message"]

STILL_HERE = b": still here\n\n"
"""A comment, which clients pass over."""


def message(kind: str, data: bytes, *, position: int | str | None = None) -> bytes:
    """An event of type *kind* with *data* (JSON); *position* is its id, which a client that reconnects sends."""
    # JSON has no raw line break, so what a build or a kernel has written can't end the data line and forge an event.
    place = b"" if position is None else f"id: {position}\n".encode()
    return b"%bevent: %b\ndata: %b\n\n" % (place, kind.encode(), data)
