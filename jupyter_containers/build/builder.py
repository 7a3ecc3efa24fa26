"""Building: the steps of a plan one after the other, each taken from the store or made, then the image."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

import msgspec

from ..image.caches import use_caches
from ..image.model import ExecutionConfig, Image, ImageConfig
from ..image.store import Store
from ..lock.fetch import Fetcher
from ..lock.model import Lock
from ..lock.requirements import takes_image_as_it_is
from ..lock.resolve import archive_cache
from ..lock.settings import Settings
from ..paths import Paths
from ..spec.model import Build, LoadedSpec
from . import rootfs
from .base import find_image
from .bounds import read_bounds
from .context import Context, State
from .downloads import Downloads
from .emulation import ENVIRONMENT, host_architecture
from .labels import KERNEL_LABEL, PYTHON_LABEL, kernel_labels
from .monitor import Event, Monitor
from .plan import Step, plan
from .python import missing_artifacts
from .report import Reporter, told_endings
from .taking import take

__all__ = ["build"]


def build(
    loaded: LoadedSpec,
    lock: Lock,
    *,
    paths: Paths,
    settings: Settings,
    monitor: Monitor,
    no_cache: bool = False,
    cancel: threading.Event | None = None,
    architecture: str = "",
    log: str = "",
    on_plan: Callable[[Sequence[Step]], None] = lambda steps: None,
) -> Image:
    """The image of *lock*, tagged with the environment's name.

    Steps that the store has are taken from it (not with *no_cache*); finished ones stay when a later one fails, and
    when this process dies at any moment. Two builders of one step: one works, the other waits and shares. *on_plan*
    gets the steps before anything is done for them, and may refuse.

    Raises :class:`BuildError` (:class:`CancelledError` once *cancel* is set, and for Ctrl-C), :class:`ArchiveError`
    for downloads, :class:`OutOfSpaceError`, :class:`HostError`.
    """
    cancel = cancel or threading.Event()
    store = Store(paths.store)
    bounds = read_bounds(os.environ)
    monitor(Event(kind="phase", phase="planning"))

    def reporter(step: Step) -> Reporter:
        return Reporter(monitor, title=step.title, step_id=step.id, log=log)

    with (
        told_endings(cancel, paths.store),
        store.lease(),
        use_caches(paths.store),
        Downloads(Fetcher(archive_cache(paths), settings), loaded.folder) as downloads,
    ):
        told = Reporter(monitor, title=f"base {lock.base.source}", log=log)
        base = find_image(loaded, lock.base, store, told)
        if lock.base.kind == "dockerfile":
            from .dockerfile.base import build_base  # late: few specs have one

            base, _ = build_base(
                loaded, store, paths=paths, settings=settings, monitor=monitor, pins=lock.base.images,
                no_cache=no_cache, cancel=cancel, log=log,
            )  # fmt: skip
            lock = _as_built(lock, base, told)
        if base is not None and _adds_nothing(loaded, lock):
            store.tag(loaded.spec.name, base.digest)  # as it is: its digest, its user and its settings stay
            return store.image(base.digest)
        architecture = architecture or (base.config.architecture if base else host_architecture())
        steps = plan(loaded, lock, architecture)
        on_plan(steps)
        waiting = [step for step in steps if no_cache or store.step(step.id) is None]
        downloads.begin(waiting, store, reporter, missing_artifacts)
        state = State(base=base)
        for step in steps:
            context = Context(
                loaded=loaded, settings=settings, store=store, downloads=downloads, state=state, bounds=bounds,
                reporter=reporter(step), cancel=cancel, architecture=architecture,
            )  # fmt: skip
            take(step, context, no_cache=no_cache)
        image = store.put_image(_config(loaded, state, architecture), state.layers)
        store.tag(loaded.spec.name, image.digest)
        return store.image(image.digest)


def _as_built(lock: Lock, base: Image, reporter: Reporter) -> Lock:
    """*lock* with the image that its Dockerfile gave here: what its RUN lines fetch is not pinned by any lock."""
    if base.digest != lock.base.digest:
        reporter.say(
            f"note: {lock.base.source} gives the image {base.digest[:19]} here, and gave {lock.base.digest[:19]} when "
            "it was locked: what it fetches has changed since, or it tells the time"
        )
    return msgspec.structs.replace(lock, base=msgspec.structs.replace(lock.base, digest=base.digest))


def _adds_nothing(loaded: LoadedSpec, lock: Lock) -> bool:
    """Whether the spec only names an image of somebody else's, to be run as it is."""
    spec = loaded.spec
    on_top = Build(copy=spec.build.copy, run=spec.build.run, env=spec.build.env)
    asks = (on_top != Build(), spec.labels, spec.packages.apt, lock.python)
    return takes_image_as_it_is(spec, adopted=loaded.pylock is not None) and not any(asks)


def _config(loaded: LoadedSpec, state: State, architecture: str) -> ImageConfig:
    """What the image says to those who run it. No date: the same lock gives the same image on any day."""
    spec = loaded.spec
    base = state.base.config.execution if state.base else ExecutionConfig()
    env = {
        "PATH": ENVIRONMENT["PATH"], "LANG": "C.UTF-8", **base.environment, **state.environment,
        "HOME": rootfs.HOME, "USER": rootfs.USER, **spec.build.env,
    }  # fmt: skip
    labels = {
        # How a base's own kernel is started is not how this one is.
        **{name: text for name, text in (base.labels or {}).items() if name not in (PYTHON_LABEL, KERNEL_LABEL)},
        **kernel_labels(loaded, state.environment),
        "org.opencontainers.image.title": spec.display_name or spec.name,
        "org.opencontainers.image.base.name": spec.origin,
        **spec.labels,
    }
    execution = ExecutionConfig(
        user=f"{rootfs.USER_ID}:{rootfs.USER_ID}",
        env=tuple(f"{name}={value}" for name, value in env.items()),
        cmd=base.cmd or ("/bin/bash",),
        entrypoint=base.entrypoint,
        working_dir=rootfs.HOME,
        labels=labels,
        stop_signal=base.stop_signal,
    )
    return ImageConfig(architecture=architecture, config=execution, history=tuple(state.history))
