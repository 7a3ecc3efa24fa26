"""What of the host and of an image has a say in how a container is started."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from ..errors import NotFoundError, UntrustedContentError
from ..image.inside import read_text_in_root
from ..image.model import Image
from .translate import HostFacts, ImageFacts

__all__ = ["read_host", "read_image"]

_MOST_BYTES = 1 << 20
_ZONES = "/zoneinfo/"


def read_host(*, terminal: bool) -> HostFacts:
    """Time zone, resolver and terminal type of this process's host."""
    return HostFacts(
        time_zone=_time_zone(os.environ.get("TZ", ""), Path("/etc/localtime")),
        resolv_conf=_read(Path("/etc/resolv.conf")),
        terminal=os.environ.get("TERM", "") if terminal else "",
    )


def read_image(image: Image) -> ImageFacts:
    """Looks into the image's layers once; the answer is kept, since an image never changes."""
    return _read_image(_Key(image))


class _Key:
    """An image by its digest alone: its names may change, its files can't."""

    def __init__(self, image: Image) -> None:
        self.image = image

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.image.layer_paths == self.image.layer_paths

    def __hash__(self) -> int:
        return hash(self.image.digest)


@lru_cache(maxsize=64)
def _read_image(key: _Key) -> ImageFacts:
    image = key.image
    layers = image.layer_paths
    return ImageFacts(
        layers=layers,
        execution=image.config.execution,
        passwd=_text(layers, "/etc/passwd"),
        group=_text(layers, "/etc/group"),
    )


def _text(layers: tuple[Path, ...], path: str) -> str:
    """A file's text; empty where it is missing or no text to be trusted: then ours is mounted over it."""
    try:
        return read_text_in_root(layers, path, _MOST_BYTES)
    except (NotFoundError, UntrustedContentError):
        return ""


def _time_zone(variable: str, localtime: Path) -> str:
    if variable and not variable.startswith(":"):
        return variable
    try:
        target = os.readlink(localtime)  # noqa: PTH115  the text matters, resolved or not
    except OSError:
        return ""
    return target.partition(_ZONES)[2]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""
