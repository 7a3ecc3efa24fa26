"""Dockerfiles of one user: what :class:`.Environments` hands on to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .build.monitor import Monitor, Progress, silent
from .errors import ConflictError
from .paths import Paths
from .spec.catalog import list_records

if TYPE_CHECKING:
    from .build.dockerfile.logged import BuiltDockerfile, Request
    from .image.model import Image
    from .shipping import Shipping

__all__ = ["build_dockerfile"]


def build_dockerfile(
    request: Request,
    *,
    paths: Paths,
    shipping: Shipping,
    monitor: Monitor = silent,
    note: Callable[[str], None] = lambda text: None,
    cancel: threading.Event | None = None,
) -> BuiltDockerfile:
    """Build the image of a Dockerfile in the calling thread; see :func:`.build.dockerfile.builder.build_dockerfile`.

    Images that the store has not are pulled. :class:`ConflictError` for a tag that is an environment's name.
    """
    from .build.dockerfile.logged import build_logged

    environments = {record.name for record in list_records(paths)}
    for tag in request.tags:
        if tag.removesuffix(":latest") in environments:
            raise ConflictError(f"{tag} is the name of an environment", hint="tag the image with another name")

    def pull(name: str, platform: str, progress: Progress) -> Image:
        return shipping.pull(name, platform=platform, progress=progress).image

    return build_logged(request, paths=paths, monitor=monitor, note=note, pull=pull, cancel=cancel)
