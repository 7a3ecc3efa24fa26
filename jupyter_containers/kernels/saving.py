"""What a kernel has written to its own layer, kept at its shutdown and there again for the notebook's next kernel.

It is kept as an image, the environment's with a layer more, by a name of the environment's and the notebook's:
``saved/ENVIRONMENT:KEY``. So all that is done with images can be done with it: looked at, removed, pinned, run. It is
of use to a new kernel only as long as the environment has the image that it was made from.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from ..errors import NotFoundError
from ..image.model import ExecutionConfig, Image
from ..image.store import Store
from ..runtime.base import Container
from ..runtime.committing import commit_container
from .launch import ENVIRONMENT_LABEL, NOTEBOOK_LABEL

__all__ = ["FROM_LABEL", "Saved", "find_saved", "save_kernel", "saved_name"]

FROM_LABEL = "org.jupyter-containers.saved-from"
"""Digest of the environment's image that the first of the layers was saved from."""
_NO_NOTEBOOK = "last"
"""The key of kernels that no notebook is told of (`jupyter console`)."""


class Saved(NamedTuple):
    image: str | None
    """Digest; None: there is nothing that fits."""
    note: str
    """What is to be said of it, in words; empty: nothing was ever saved."""


def saved_name(environment: str, notebook: str) -> str:
    """The image's name for the notebook with that path, as the server tells it. Pure."""
    key = hashlib.sha256(notebook.encode("utf-8", "surrogateescape")).hexdigest()[:16] if notebook else _NO_NOTEBOOK
    return f"saved/{environment}:{key}"


def find_saved(store: Store, environment: str, notebook: str, image: str) -> Saved:
    """What was saved last for *notebook*, where it fits to *image*, which the environment has now."""
    name = saved_name(environment, notebook)
    try:
        found = store.image(name)
    except NotFoundError:
        return Saved(None, "")
    if _saved_from(found) != image:
        return Saved(None, f"what was saved ({name}) is of another image than the environment has now: not restored")
    return Saved(found.digest, f"restored from {name}, saved {found.config.created}")


def save_kernel(store: Store, container: Container) -> str:
    """Save what the kernel in *container*, which has ended, has written; the image's name, empty where that is
    nothing. Blocks: all of it is read once. Errors as of :func:`..runtime.committing.commit_container`."""
    labels = container.config.labels
    environment = labels.get(ENVIRONMENT_LABEL, container.config.image_name)
    name = saved_name(environment, labels.get(NOTEBOOK_LABEL, ""))
    with store.lease([container.config.image]):
        origin = _saved_from(store.image(container.config.image)) or container.config.image

        def mark(config: ExecutionConfig) -> ExecutionConfig:
            return msgspec.structs.replace(config, labels={**(config.labels or {}), FROM_LABEL: origin})

        made = commit_container(store, container, execution=mark, comment="saved at the kernel's shutdown")
        if made.layer is None:
            return ""
        store.tag(name, made.image.digest)
    return name


def _saved_from(image: Image) -> str:
    return (image.config.execution.labels or {}).get(FROM_LABEL, "")
