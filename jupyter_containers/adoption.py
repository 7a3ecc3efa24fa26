"""Images as environments, as they are: what :class:`.Environments` hands on to.

An adopted image has a name, a kernel and a place in the launcher, and no spec: nothing of it is built anew, and its
digest stays. Where it has no ipykernel of its own, one is injected beside it (``build/injection/``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .build.monitor import Monitor, silent
from .errors import InputError, NotFoundError
from .paths import Paths
from .spec.catalog import Record, find_record, record
from .spec.names import check_name, make_name

if TYPE_CHECKING:
    from .image.model import Image
    from .image.progress import Progress
    from .image.store import Store
    from .runtime.base import Runtime
    from .shipping import Shipping

__all__ = ["Adopted", "Adoption"]

_FILES = ("oci-archive:", "oci:", "docker-archive:")
"""How a file is named, as in a spec's ``base`` and by other tools."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """An image that is an environment now."""

    record: Record
    image: Image
    note: str = ""
    """What is to be known of its kernel: that cells run on a Python of ours, and why."""
    kernel: str = ""
    """diff_id of the injected layer; empty: the image has an ipykernel of its own."""


class Adoption:
    """For one user.

    :param runtime: what will run the kernels.
    """

    def __init__(self, paths: Paths, store: Store, shipping: Shipping, *, runtime: Callable[[], Runtime]) -> None:
        self.paths, self.store, self.shipping, self._runtime = paths, store, shipping, runtime

    def adopt(
        self,
        reference: str,
        name: str = "",
        *,
        display_name: str = "",
        kernelspec: bool = True,
        monitor: Monitor = silent,
        progress: Progress = lambda what, done, total: None,
        notify: Callable[[str], None] = lambda text: None,
        cancel: threading.Event | None = None,
    ) -> Adopted:
        """Make the image *reference* the environment *name* (default: made from the reference).

        *reference*: a name, digest or environment in the store, a file (``oci-archive:``, ``oci:`` or
        ``docker-archive:`` and a path), else what a registry has. An environment of that name that is an image, too,
        gets the new one. :class:`ConflictError` where it has a spec; the errors of pulling, loading, and of
        :func:`.build.injection.layer.ensure_injection`.
        """
        from .kernels.host import Host
        from .kernels.injected import inject, needs_injection
        from .kernels.target import image_target

        name = check_name(name or default_name(reference))
        with self.store.lease():
            image = self._find(reference, progress=progress, notify=notify)
            entry = Record(
                name=name, display_name=display_name or _shown(reference, name), spec_file="", image=image.digest,
                built_at=time.time(),
            )  # fmt: skip
            record(self.paths, entry)  # before anything is made: the name may be another's
            self.store.tag(name, image.digest)
            if needs_injection(image, None):
                host = Host(self.paths, self.store, self._runtime())
                target = inject(image, host, name=name, pinned=True, monitor=monitor, cancel=cancel)
            else:
                target = image_target(image, name=name)
        if kernelspec:
            from .kernels import kernelspec as kernelspecs

            kernelspecs.install(name, paths=self.paths)
        return Adopted(entry, self.store.image(image.digest), target.note, next(iter(target.layers), ("", ""))[0])

    def _find(self, reference: str, *, progress: Progress, notify: Callable[[str], None]) -> Image:
        kind = next((kind for kind in _FILES if reference.startswith(kind)), "")
        if kind:
            path = Path(reference.removeprefix(kind)).expanduser()
            loaded = self.shipping.load(path, progress=progress)
            if len(loaded) != 1:
                raise InputError(
                    f"{path} holds {len(loaded)} images, and an environment is one",
                    hint="`jupyter containers load` takes them all in; then name one of them",
                )
            return self.store.image(loaded[0].digest)
        try:
            return self.store.image(self._environment(reference) or self.shipping.find(reference).digest)
        except NotFoundError:
            return self.shipping.pull(reference, progress=progress, notify=notify).image

    def _environment(self, name: str) -> str | None:
        try:
            return find_record(self.paths, name).image
        except NotFoundError:
            return None


def _shown(reference: str, name: str) -> str:
    """As a launcher has it: what the user called the image, where that is a name."""
    return name if reference.startswith(("sha256:", *_FILES)) else reference


def default_name(reference: str) -> str:
    """An environment's name for the image *reference*: ``python-3.12-slim`` for ``docker.io/python:3.12-slim``."""
    kind = next((kind for kind in _FILES if reference.startswith(kind)), "")
    if kind:
        return make_name(Path(reference.removeprefix(kind)).stem)
    name = reference.partition("@")[0].rstrip("/").rpartition("/")[2]
    return make_name(name.removesuffix(":latest").replace(":", "-"))
