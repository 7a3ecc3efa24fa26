"""Building a Dockerfile: the stages that the target needs, side by side where they can be, then the image."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...errors import InputError, OutOfSpaceError, Problem, StoreError
from ...image.caches import use_caches
from ...image.model import Image, ImageConfig
from ...image.reference import parse_reference
from ...image.store import Store
from ...paths import Paths
from ..bounds import read_bounds
from ..monitor import Event, Monitor, silent
from ..report import Reporter, check_cancelled, told_endings
from .bases import begin
from .configuring import configure
from .context import open_context
from .copying import copy, problem
from .flags import Refused
from .model import Copy, Run
from .parser import parse_trigger
from .platform import host_platform, parse_platform
from .running import run
from .scope import Scope, declare_global, unused_arguments
from .stages import Job, lay_out
from .work import Build, Pull, StageState, Step, step_id

if TYPE_CHECKING:
    from ...lock.model import PinnedImage
    from ...lock.settings import Settings

__all__ = ["Request", "build_dockerfile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be built."""

    context: Path
    """A folder."""
    file: Path | None = None
    """None: ``Dockerfile``, or ``Containerfile``, in the context."""
    text: str | None = None
    """The Dockerfile itself, where it is no file."""
    tags: tuple[str, ...] = ()
    target: str = ""
    """A stage's name or number; empty: the last."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """``--build-arg``."""
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    """Contents by id."""
    platform: str = ""
    no_cache: bool = False
    fresh: bool = False
    """Ask registries also for images that were pulled before (docker's ``--pull``)."""


def build_dockerfile(
    request: Request,
    *,
    paths: Paths,
    settings: Settings | None = None,
    monitor: Monitor = silent,
    note: Callable[[str], None] = lambda text: None,
    pull: Pull | None = None,
    cancel: threading.Event | None = None,
    log: str = "",
    store: Store | None = None,
    pins: Sequence[PinnedImage] = (),
    took: Callable[[PinnedImage], None] = lambda pinned: None,
) -> Image:
    """The image of a Dockerfile's target, tagged with each of the request's tags.

    *note* is told what is not honoured as it is written. *pull* fetches images that the store has not. *pins*: what
    names of images are to stand for; *took* is told what they stood for. *store*: one that the caller has a lease of,
    which then holds the result.
    Raises :class:`InputError` for the Dockerfile, with all its problems; :class:`BuildError` for a step that fails,
    :class:`CancelledError` once *cancel* is set and for Ctrl-C; finished steps stay.
    """
    cancel = cancel or threading.Event()
    for tag in request.tags:
        parse_reference(tag)
    dockerfile, context = open_context(request.context, request.file, request.text)
    given = dict(request.arguments)
    target = parse_platform(request.platform)
    scope = declare_global(dockerfile, given, target, host_platform())
    jobs = lay_out(dockerfile, request.target, scope)
    told = _Once(note)
    for text in dockerfile.notes:
        told(text)
    for name in unused_arguments(dockerfile, given):
        told(f"--build-arg {name} is taken up by no ARG")
    monitor(Event(kind="phase", phase="planning"))
    store = store or Store(paths.store)
    with told_endings(cancel, paths.store), store.lease(), use_caches(paths.store):
        build = Build(
            dockerfile=dockerfile, folder=request.context.absolute(), context=context, store=store,
            paths=paths, settings=settings, secrets=dict(request.secrets), target=target, pull=pull,
            monitor=monitor, note=told, cancel=cancel, bounds=read_bounds(os.environ),
            no_cache=request.no_cache, fresh=request.fresh, log=log, pins=pins, took=took,
        )  # fmt: skip
        _build_stages(jobs, build, scope)
        image = _put_image(build.stages[jobs[-1].stage.index], store)
        for tag in request.tags:
            store.tag(tag, image.digest)
        return store.image(image.digest)


class _Once:
    """Each text once, from whatever thread."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._told, self._guard = tell, set[str](), threading.Lock()

    def __call__(self, text: str) -> None:
        with self._guard:
            if text not in self._told:
                self._told.add(text)
                self._tell(text)


def _build_stages(jobs: Iterable[Job], build: Build, scope: Scope) -> None:
    """All stages, each as soon as those that it needs are there. One that fails stops the others."""
    waiting = {job.stage.index: job for job in jobs}
    running: dict[Future[StageState], int] = {}
    with ThreadPoolExecutor(max(1, min(len(os.sched_getaffinity(0)), len(waiting))), "stage") as pool:
        try:
            while waiting or running:
                for index in [index for index, job in waiting.items() if job.needs <= build.stages.keys()]:
                    running[pool.submit(_build_stage, waiting.pop(index), build, scope)] = index
                # A time-out lets Ctrl-C through while threads are at work.
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    build.stages[running.pop(future)] = future.result()
        except BaseException:
            build.cancel.set()
            raise


def _build_stage(job: Job, build: Build, scope: Scope) -> StageState:
    stage, dockerfile = job.stage, build.dockerfile
    total = len(stage.instructions) + 1
    identity = step_id((), base=job.image, platform=job.platform)
    reporter = Reporter(
        build.monitor, title=f"[{stage.title} 1/{total}] {stage.base.text}", step_id=identity, log=build.log
    )
    check_cancelled(build.cancel)
    reporter.started("unpacking")
    state = begin(job, build, scope, reporter)
    reporter.finished()
    triggers = state.execution.on_build or ()
    state.execution = msgspec.structs.replace(state.execution, on_build=None)
    for trigger in triggers:
        instruction = parse_trigger(trigger, escape=dockerfile.escape, file=dockerfile.file, line=stage.base.line)
        _carry_out(Step(instruction, f"[{stage.title} 1/{total}] ONBUILD {instruction.text}", state, build))
    for number, instruction in enumerate(stage.instructions, 2):
        _carry_out(Step(instruction, f"[{stage.title} {number}/{total}] {instruction.text}", state, build))
    return state


def _carry_out(step: Step) -> None:
    """One instruction: a layer, or a change of the configuration."""
    check_cancelled(step.build.cancel)
    instruction = step.instruction
    try:
        match instruction:
            case Run():
                run(step, instruction)
            case Copy() if instruction.add:
                from .adding import add  # late: few Dockerfiles need what downloads and unpacks

                add(step, instruction)
            case Copy():
                copy(step, instruction)
            case _:
                configure(step, instruction)
    except Refused as refused:
        where = [
            Problem(step.build.dockerfile.file, cause, refused.remedy, line=instruction.line)
            for cause in refused.causes
        ]
        raise InputError(f"{step.build.dockerfile.file} is not valid", problems=where) from refused
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise problem(step, f"{error.filename or 'a file'}: {error.strerror or error}") from error
    except StoreError as error:
        if isinstance(error, OutOfSpaceError):
            raise
        raise problem(step, error.message, error.hint) from error


def _put_image(state: StageState, store: Store) -> Image:
    config = ImageConfig(
        author=state.author, architecture=state.architecture, variant=state.variant, config=state.execution,
        history=tuple(state.history),
    )  # fmt: skip
    return store.put_image(config, state.layers)
