"""A spec's own Dockerfile with the images that were locked, up to the stage that is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...lock.model import PinnedImage
from ..dockerfile.model import Copy, Run
from ..dockerfile.parser import parse
from ..dockerfile.platform import host_platform
from ..dockerfile.scope import declare_global
from ..dockerfile.stages import lay_out

__all__ = ["pinned_dockerfile"]


def pinned_dockerfile(
    text: str, images: Sequence[PinnedImage], *, target: str, args: Mapping[str, str], file: str
) -> tuple[str, tuple[str, ...]]:
    """The text of a Dockerfile of which the stage *target* is the last, with each FROM naming its image by digest; and
    what there is to say of it. :class:`InputError` where it is not well formed."""
    dockerfile = parse(text, file)
    scope = declare_global(dockerfile, args, host_platform(), host_platform())
    jobs = lay_out(dockerfile, target, scope)
    pins = {image.name: image for image in images}
    lines, notes = text.splitlines(), []
    last = jobs[-1].stage.index
    if last + 1 < len(dockerfile.stages):
        lines = lines[: dockerfile.stages[last + 1].base.line - 1]
    for job in reversed(jobs):
        pin = pins.get(job.image) if job.base is None else None
        if pin is None:
            continue
        if not pin.reference:
            notes.append(f"{job.image} is an image of this host: other builders do not find it, unless it is pushed")
            continue
        first = job.stage.base.line - 1
        end = first
        while lines[end].rstrip().endswith(dockerfile.escape):
            end += 1
        platform = f"--platform={job.stage.base.platform} " if job.stage.base.platform else ""
        name = f" AS {job.stage.base.name}" if job.stage.base.name else ""
        lines[first : end + 1] = [f"# {job.image}", f"FROM {platform}{pin.reference}{name}"]
    for job in jobs:
        for instruction in job.stage.instructions:
            sources = [instruction.from_] if isinstance(instruction, Copy) else []
            if isinstance(instruction, Run):
                sources = [mount.from_ for mount in instruction.mounts]
            notes += [f"--from={source} is not pinned" for source in sources if source in pins]
    if args:
        given = " ".join(f"--build-arg {name}={value}" for name, value in sorted(args.items()))
        notes.append(f"build it with {given}")
    return "\n".join(lines), tuple(dict.fromkeys(notes))
