"""Which stages a target needs, and what each of them needs (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...errors import InputError, Problem
from .model import Copy, Dockerfile, Instruction, OnBuild, Run, Stage
from .parser import parse_trigger
from .scope import Scope, expand_in

__all__ = ["Job", "find_stage", "lay_out", "referred"]


@dataclass(frozen=True, slots=True)
class Job:
    """One stage that is to be built."""

    stage: Stage
    image: str
    """What FROM names, expanded."""
    base: int | None
    """The stage that it starts from; None: an image."""
    needs: frozenset[int]
    """Stages that have to be there first."""
    platform: str = ""
    """Of FROM, expanded; empty: the target's."""


def lay_out(dockerfile: Dockerfile, target: str, scope: Scope) -> tuple[Job, ...]:
    """The stages that *target* (a name or number; empty: the last) needs, in the file's order, itself the last.

    Stages refer to earlier ones only, so this order is one to build in. Raises :class:`InputError`.
    """
    jobs = [_job(stage, dockerfile, scope) for stage in dockerfile.stages]
    wanted = _target(dockerfile, target)
    needed: set[int] = set()
    waiting = [wanted]
    while waiting:
        index = waiting.pop()
        if index not in needed:
            needed.add(index)
            waiting += jobs[index].needs
    return tuple(jobs[index] for index in sorted(needed))


def find_stage(stages: Sequence[Stage], reference: str) -> int | None:
    """The number of the stage that *reference* names among *stages*; the later of two wins."""
    for stage in reversed(stages):
        if stage.base.name and stage.base.name == reference.lower():
            return stage.index
    if reference.isdigit() and int(reference) < len(stages):
        return int(reference)
    return None


def referred(instruction: Instruction) -> tuple[str, ...]:
    """What ``from=`` of an instruction names: stages, or images."""
    if isinstance(instruction, Copy):
        return (instruction.from_,) if instruction.from_ else ()
    if isinstance(instruction, Run):
        return tuple(mount.from_ for mount in instruction.mounts if mount.from_)
    return ()


def _job(stage: Stage, dockerfile: Dockerfile, scope: Scope) -> Job:
    earlier = dockerfile.stages[: stage.index]
    image = expand_in(stage.base.image, scope.args, dockerfile, stage.base)
    if not image:
        problem = Problem(dockerfile.file, f"FROM {stage.base.image} is empty once expanded", line=stage.base.line)
        raise InputError("a base has no name", problems=[problem], hint="give the ARG a default, or use --build-arg")
    base = None if image.isdigit() else find_stage(earlier, image)
    needs = {base} if base is not None else set[int]()
    for instruction in _with_triggers(stage, base, dockerfile):
        for reference in referred(instruction):
            found = find_stage(earlier, reference)
            if found is None and find_stage(dockerfile.stages[stage.index :], reference) is not None:
                problem = Problem(
                    dockerfile.file, f"from={reference}: that stage is not there yet", "Only earlier stages count",
                    line=instruction.line,
                )  # fmt: skip
                raise InputError(f"{dockerfile.file} is not valid", problems=[problem])
            if found is not None:
                needs.add(found)
    platform = expand_in(stage.base.platform, scope.args, dockerfile, stage.base)
    return Job(stage, image, base, frozenset(needs), platform)


def _with_triggers(stage: Stage, base: int | None, dockerfile: Dockerfile) -> Iterator[Instruction]:
    """The stage's instructions, and those that its base stage has left for it."""
    if base is not None:
        for instruction in dockerfile.stages[base].instructions:
            if isinstance(instruction, OnBuild):
                yield parse_trigger(
                    instruction.trigger, escape=dockerfile.escape, file=dockerfile.file, line=stage.base.line
                )
    yield from stage.instructions


def _target(dockerfile: Dockerfile, target: str) -> int:
    if not target:
        return len(dockerfile.stages) - 1
    found = find_stage(dockerfile.stages, target)
    if found is None:
        names = ", ".join(stage.title for stage in dockerfile.stages)
        raise InputError(f"{dockerfile.file} has no stage {target!r}", hint=f"its stages are: {names}")
    return found
