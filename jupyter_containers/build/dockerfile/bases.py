"""Where stages and ``--from`` get images: other stages, the store, archives, registries."""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import InputError, NotFoundError, Problem, ReferenceError
from ...image.layout import load
from ...image.model import ExecutionConfig, History, Image
from ...image.registry_settings import remote_reference
from ...lock.images import find_pinned, pin_image
from ..report import Reporter
from .metadata import DEFAULT_PATH
from .platform import Platform, host_platform, parse_platform
from .scope import Scope
from .sources import Source
from .stages import Job, find_stage
from .work import Build, StageState, Step, image_source

__all__ = ["begin", "find_image", "find_source"]

_ARCHIVE = re.compile(r"(?:oci-archive|docker-archive|oci|oci-layout):(?://)?(.+)", re.DOTALL)


def begin(job: Job, build: Build, scope: Scope, reporter: Reporter) -> StageState:
    """The state that a stage starts with: of ``scratch``, of another stage, or of an image."""
    title = job.stage.title
    if job.base is not None:
        base = build.stages[job.base]
        return StageState(
            title=title, architecture=base.architecture, variant=base.variant, scope=scope.stage(),
            execution=base.execution, layers=list(base.layers), history=list(base.history), author=base.author,
        )  # fmt: skip
    platform = parse_platform(job.platform) if job.platform else build.target
    if job.image == "scratch":
        execution = ExecutionConfig(env=(f"PATH={DEFAULT_PATH}",), working_dir="/")
        return StageState(
            title=title, architecture=platform.architecture, variant=platform.variant, scope=scope.stage(),
            execution=execution,
        )  # fmt: skip
    image = find_image(job.image, platform, build, line=job.stage.base.line, reporter=reporter)
    if image.config.architecture != platform.architecture:
        if job.platform:
            raise InputError(
                f"{build.dockerfile.file}:{job.stage.base.line}: {job.image} is for {image.config.architecture}, and "
                f"--platform={job.platform} was asked for",
                hint="load the image of that platform under a name of its own",
            )
        build.note(f"{job.image} is for {image.config.architecture}, not {platform.architecture}: so is the result")
    history = image.config.history
    if history is None:
        history = tuple(History(created_by=layer.created_by) for layer in image.layers)
    return StageState(
        title=title, architecture=image.config.architecture, variant=image.config.variant, scope=scope.stage(),
        execution=image.config.execution, layers=list(image.layers), history=list(history),
        author=image.config.author,
    )  # fmt: skip


def find_image(text: str, platform: Platform, build: Build, *, line: int, reporter: Reporter) -> Image:
    """The image that *text* names: an archive beside the Dockerfile's context, one of the store, or of a registry.

    :class:`InputError` for what names nothing, with all that was tried.
    """
    asked = "" if platform == host_platform() else str(platform)
    pinned = next((one for one in build.pins if (one.name, one.platform) == (text, asked)), None)
    if pinned is None:
        image = _find_image(text, platform, build, line=line, reporter=reporter)
        build.took(pin_image(image, text, platform=asked))
        return image
    build.took(pinned)
    if _ARCHIVE.fullmatch(text) is None:
        progress = reporter.progress("downloading", "bytes")
        return find_pinned(build.store, pinned, progress=progress, notify=build.note)
    image = _find_image(text, platform, build, line=line, reporter=reporter)
    if image.digest != pinned.digest:
        cause = f"{text} holds the image {image.digest}, and the lock has {pinned.digest}"
        problem = Problem(build.dockerfile.file, cause, line=line)
        hint = "`jupyter containers lock --upgrade` takes it as it is now"
        raise InputError("an image is not the one that was locked", problems=[problem], hint=hint)
    return image


def _find_image(text: str, platform: Platform, build: Build, *, line: int, reporter: Reporter) -> Image:
    archive = _ARCHIVE.fullmatch(text)
    if archive is not None:
        path, name = _part(build.folder, archive[1])
        progress = reporter.progress("unpacking")
        return load(build.store, path, name=name, architecture=platform.architecture, progress=progress)
    try:
        remote = str(remote_reference(text))
        image = _stored(text, build) or _stored(remote, build)
    except ReferenceError as error:
        problem = Problem(build.dockerfile.file, error.message, line=line)
        raise InputError("an image's name is not well formed", problems=[problem], hint=error.hint) from error
    # A name of our own (an environment, a tag) is no registry's: it is not asked for another platform.
    again = build.fresh and build.pull is not None and image is not None and remote in image.references
    fits = image is not None and (image.config.architecture == platform.architecture or remote not in image.references)
    if image is not None and fits and not again:
        return image
    if build.pull is not None:
        reporter.phase("downloading", remote)
        return build.pull(text, str(platform), reporter.progress("downloading", "bytes"))
    problem = Problem(build.dockerfile.file, f"{text} is no stage, environment or image of the store", line=line)
    raise InputError("an image is missing", problems=[problem], hint=f"`jupyter containers pull {text}` fetches it")


def _stored(text: str, build: Build) -> Image | None:
    try:
        return build.store.image(text)
    except NotFoundError:
        return None


def find_source(step: Step, reference: str) -> tuple[Source, list[str]]:
    """What ``from=`` names, and the digests that stand for all that is in it; empty: the build context, and none."""
    build = step.build
    if not reference:
        return build.context, []
    index = find_stage(build.dockerfile.stages, reference)
    if index is not None:
        if index not in build.stages:
            cause = f"from={reference}: that stage is not there yet"
            problem = Problem(build.dockerfile.file, cause, line=step.instruction.line)
            raise InputError("a stage is missing", problems=[problem], hint="name an earlier stage")
        layers = build.stages[index].layers
    else:
        platform = Platform("linux", step.state.architecture, step.state.variant)
        reporter = step.reporter("")
        image = find_image(reference, platform, build, line=step.instruction.line, reporter=reporter)
        layers = list(image.layers)
    return image_source(layers, build.store, name=f"{reference}"), [layer.diff_id for layer in layers] or ["scratch"]


def _part(folder: Path, text: str) -> tuple[Path, str]:
    """Path and image name of ``FILE[:NAME]``; paths are relative to the context."""
    whole = folder / text
    if whole.exists() or ":" not in text:
        return whole, ""
    path, _, name = text.partition(":")
    return folder / path, name
