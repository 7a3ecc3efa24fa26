"""Kernels of images that were not made here: which need one injected, and what it takes to start it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..build.labels import read_kernel, read_python
from ..build.monitor import Monitor, silent
from ..lock.requirements import takes_image_as_it_is
from ..spec.model import Kernel, LoadedSpec
from .host import Host
from .launch import Target

if TYPE_CHECKING:
    from ..build.injection.layer import Injection
    from ..image.model import Image
    from ..image.store import Store

__all__ = ["find_injected", "inject", "needs_injection", "pin_name"]


def needs_injection(image: Image, loaded: LoadedSpec | None) -> bool:
    """Whether *image* has to be asked for its Python: no spec, and no label of it, says how its kernel is started."""
    if loaded is not None:
        return takes_image_as_it_is(loaded.spec, adopted=loaded.pylock is not None)
    labels = image.config.execution.labels or {}
    return not read_python(labels) and read_kernel(labels) is None


def find_injected(image: Image, store: Store, *, name: str, loaded: LoadedSpec | None = None) -> Target | None:
    """The target of *image* with its injected kernel; None where that has to be made first."""
    from ..build.injection.layer import find_injection

    found = find_injection(image, store)
    return None if found is None else _target(image, store, found, name=name, loaded=loaded)


def inject(
    image: Image,
    host: Host,
    *,
    name: str,
    loaded: LoadedSpec | None = None,
    pinned: bool = False,
    monitor: Monitor = silent,
    cancel: threading.Event | None = None,
) -> Target:
    """The same, made where it is not there. *pinned*: no collector takes it as long as there is the environment *name*.

    Errors are those of :func:`..build.injection.layer.ensure_injection`.
    """
    from ..build.injection.layer import ensure_injection

    found = ensure_injection(image, name=name, paths=host.paths, monitor=monitor, cancel=cancel)
    if pinned and found.layer:
        host.store.pin_layer(pin_name(name), found.layer)
    return _target(image, host.store, found, name=name, loaded=loaded)


def pin_name(environment: str) -> str:
    """By which the store keeps the layer for *environment*."""
    return f"kernel-{environment}"


def _target(image: Image, store: Store, found: Injection, *, name: str, loaded: LoadedSpec | None) -> Target:
    layer = store.find_layer(found.layer) if found.layer else None
    return Target(
        name=name,
        image=image.digest,
        loaded=loaded,
        kernel=loaded.spec.kernel if loaded is not None else Kernel(),
        command=found.argv,
        layers=((layer.diff_id, str(layer.path)),) if layer is not None else (),
        entrypoint=image.config.execution.entrypoint or (),
        note=found.note,
    )
