"""A Dockerfile as the base of a spec's image."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import Problem, SpecError
from ...image.model import Image
from ...image.store import Store
from ...lock.images import pull_image
from ...lock.model import PinnedImage
from ...paths import Paths
from ...spec.model import LoadedSpec
from ..inputs import source_path
from ..monitor import Monitor, Progress
from ..report import Reporter
from .builder import Request, build_dockerfile

if TYPE_CHECKING:
    from ...lock.settings import Settings

__all__ = ["build_base"]


def build_base(
    loaded: LoadedSpec,
    store: Store,
    *,
    paths: Paths,
    settings: Settings,
    monitor: Monitor,
    pins: Sequence[PinnedImage] = (),
    no_cache: bool = False,
    fresh: bool = False,
    cancel: threading.Event | None = None,
    log: str = "",
) -> tuple[Image, tuple[PinnedImage, ...]]:
    """The image of the spec's Dockerfile, and the images that it takes in, by name. *pins*: what names stand for;
    *fresh*: others are asked for anew.

    The caller has a lease of *store*. Errors are those of :func:`.builder.build_dockerfile`.
    """
    build, reporter = loaded.spec.build, Reporter(monitor, title=f"base {loaded.spec.origin}", log=log)
    try:
        file, context = source_path(loaded, build.dockerfile), source_path(loaded, build.context)
    except (OSError, ValueError) as error:
        cause = f"{build.dockerfile}: {getattr(error, 'strerror', None) or error}"
        problem = Problem(str(loaded.file or loaded.folder), cause, key="build.dockerfile")
        raise SpecError("the Dockerfile can't be read", problems=[problem]) from error
    found: dict[tuple[str, str], PinnedImage] = {}

    def took(pinned: PinnedImage) -> None:
        found[pinned.name, pinned.platform] = pinned

    def pull(name: str, platform: str, progress: Progress) -> Image:
        return pull_image(store, name, platform=platform, progress=progress, notify=reporter.say)

    request = Request(
        context=context, file=file, target=build.target, arguments=build.args, no_cache=no_cache,
        fresh=fresh,
    )  # fmt: skip
    image = build_dockerfile(
        request, paths=paths, settings=settings, monitor=monitor, note=lambda text: reporter.say(f"note: {text}"),
        pull=pull, cancel=cancel, log=log, store=store, pins=pins, took=took,
    )  # fmt: skip
    return image, tuple(found[key] for key in sorted(found))
