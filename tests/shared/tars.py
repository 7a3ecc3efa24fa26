"""Layers' tars that a stranger has made, and how they are taken in."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.foreign import load_layer
from jupyter_containers.image.model import Layer
from jupyter_containers.image.store import Store

MakeTar = Callable[..., bytes]
SMALL = Bounds(reserve=0)
LINK: dict[str, object] = {"type": tarfile.SYMTYPE}
HARD: dict[str, object] = {"type": tarfile.LNKTYPE}
FOLDER: dict[str, object] = {"type": tarfile.DIRTYPE, "mode": 0o755}


def take(store: Store, data: bytes, *, bounds: Bounds = SMALL) -> Layer:
    return load_layer(store, io.BytesIO(data), sha256_of(data), what="evil.tar", created_by="", bounds=bounds)
