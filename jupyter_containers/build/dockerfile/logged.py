"""A Dockerfile's build with its log kept, as every build's is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import CancelledError
from ...image.model import Image
from ...paths import Paths
from .. import history
from ..monitor import Monitor, silent
from .builder import Request, build_dockerfile
from .work import Pull

__all__ = ["BuiltDockerfile", "Request", "build_logged"]


@dataclass(frozen=True, slots=True)
class BuiltDockerfile:
    image: Image
    build_id: str


def build_logged(
    request: Request,
    *,
    paths: Paths,
    monitor: Monitor = silent,
    note: Callable[[str], None] = lambda text: None,
    pull: Pull | None = None,
    cancel: threading.Event | None = None,
) -> BuiltDockerfile:
    """:func:`.builder.build_dockerfile`, recorded in the history; its errors are kept there, too."""
    name = request.tags[0] if request.tags else request.context.absolute().name
    recorder = history.Recorder(
        paths, build_id=history.new_build_id(), name=name, spec_file=str((request.file or request.context).absolute()),
        monitor=monitor,
    )  # fmt: skip
    with recorder:
        try:
            image = build_dockerfile(
                request,
                paths=paths,
                monitor=recorder,
                note=note,
                pull=pull,
                cancel=cancel,
                log=str(recorder.log),
            )
        except KeyboardInterrupt:
            raise CancelledError("the build was cancelled", hint="build again: finished steps are kept") from None
        recorder.finish(image.digest)
        return BuiltDockerfile(image, recorder.id)
