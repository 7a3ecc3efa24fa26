"""What an image says of its kernel, for those who have the image and not the spec."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..lock.requirements import needs_ipykernel, takes_image_as_it_is
from ..spec.model import Kernel, LoadedSpec

__all__ = ["KERNEL_LABEL", "PYTHON_LABEL", "kernel_labels", "read_kernel", "read_python"]

PYTHON_LABEL = "org.jupyter-containers.python"
"""The interpreter that has ipykernel."""
KERNEL_LABEL = "org.jupyter-containers.kernel"
"""JSON of a :class:`.spec.model.Kernel` that is started in another way, without its variables."""
_LONGEST = 64 << 10
"""Characters of a label that is read."""


def kernel_labels(loaded: LoadedSpec, environment: Mapping[str, str]) -> dict[str, str]:
    """The labels of an image of *loaded*; *environment* are the variables that its steps have set.

    There is none where the image is run as it is: what starts its kernel is made beside it.
    """
    spec = loaded.spec
    if takes_image_as_it_is(spec, adopted=loaded.pylock is not None):
        return {}
    labels = {}
    virtual = environment.get("VIRTUAL_ENV", "")
    if virtual and needs_ipykernel(spec):
        labels[PYTHON_LABEL] = f"{virtual}/bin/python"
    # Variables of the kernel alone may be what its user keeps out of an image that goes to a registry.
    kernel = msgspec.structs.replace(spec.kernel, env={})
    if kernel != Kernel():
        labels[KERNEL_LABEL] = msgspec.json.encode(kernel, order="deterministic").decode()
    return labels


def read_kernel(labels: Mapping[str, str]) -> Kernel | None:
    """The kernel that an image's *labels* tell. The image may be a stranger's: what is no kernel is not there."""
    text = _text(labels, KERNEL_LABEL)
    try:
        kernel = msgspec.json.decode(text, type=Kernel) if text else None
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if kernel is None or "\0" in "".join((kernel.language, *kernel.argv, *kernel.preload)) else kernel


def read_python(labels: Mapping[str, str]) -> str:
    """The interpreter that *labels* tell; empty where they tell none."""
    text = _text(labels, PYTHON_LABEL)
    return text if text.startswith("/") and "\0" not in text else ""


def _text(labels: Mapping[str, str], name: str) -> str:
    text = labels.get(name, "")
    return text if len(text) <= _LONGEST else ""
