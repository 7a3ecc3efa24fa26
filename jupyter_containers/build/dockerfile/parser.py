"""From statements to a :class:`Dockerfile`; all that is wrong with it is told at once, by line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from ...errors import InputError, Problem
from .instructions import BUILDERS, Refused
from .lexer import Directives, Statement, read_directives, read_statements
from .model import Arg, Copy, Dockerfile, From, Instruction, Maintainer, OnBuild, Run, Stage

__all__ = ["parse", "parse_trigger"]

_FRONTEND = re.compile(r"(docker\.io/)?docker/dockerfile(:1[.0-9]*)?(-labs)?")
"""The one whose language this is."""
_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")


def parse(text: str, file: str = "Dockerfile") -> Dockerfile:
    """Read a Dockerfile. :class:`InputError` with every problem: unknown instructions and flags, missing arguments,
    stages that are named before they are there."""
    problems: list[Problem] = []
    directives = read_directives(text, file, problems)
    statements = read_statements(text, directives, file, problems)
    instructions = [_build(statement, directives, file, problems) for statement in statements]
    found = [instruction for instruction in instructions if instruction is not None]
    arguments, stages = _part(found, file, problems, complete=len(found) == len(instructions))
    if problems:
        raise InputError(f"{file} is not valid", problems=sorted(problems, key=lambda problem: problem.line or 0))
    return Dockerfile(file, directives.escape, arguments, stages, _notes(directives, found))


def parse_trigger(trigger: str, *, escape: str, file: str, line: int) -> Instruction:
    """The instruction of an ONBUILD, as it is carried out in the image that is built; :class:`InputError`."""
    problems: list[Problem] = []
    statements = read_statements(trigger, Directives(escape), file, problems)
    instruction = _build(statements[0], Directives(escape), file, problems) if len(statements) == 1 else None
    if problems or instruction is None:
        raise InputError(f"the ONBUILD trigger {trigger!r} is not valid", problems=problems)
    return msgspec.structs.replace(instruction, line=line)


def _build(statement: Statement, directives: Directives, file: str, problems: list[Problem]) -> Instruction | None:
    builder: Callable[[Statement, str], Instruction] | None = BUILDERS.get(statement.keyword)
    if builder is None:
        import difflib

        near = difflib.get_close_matches(statement.keyword, BUILDERS, 1)
        remedy = f"Did you mean {near[0]}?" if near else ""
        problems.append(Problem(file, f"unknown instruction {statement.keyword!r}", remedy, line=statement.line))
        return None
    try:
        instruction = builder(statement, directives.escape)
        if isinstance(instruction, OnBuild):
            _check_trigger(instruction, statement, directives)
        return instruction
    except Refused as refused:
        problems += [
            Problem(file, cause, refused.remedy, key=statement.keyword, line=statement.line) for cause in refused.causes
        ]
        return None


def _check_trigger(instruction: OnBuild, statement: Statement, directives: Directives) -> None:
    problems: list[Problem] = []
    inner = read_statements(instruction.trigger, directives, "", problems)
    keyword = inner[0].keyword if inner else ""
    if keyword in {"ONBUILD", "FROM", "MAINTAINER"}:
        raise Refused(f"{keyword} can't be a trigger")
    if inner:
        _build(inner[0], directives, "", problems)
    if problems:
        raise Refused(*(problem.cause for problem in problems))


def _part(
    instructions: Sequence[Instruction], file: str, problems: list[Problem], *, complete: bool
) -> tuple[tuple[Arg, ...], tuple[Stage, ...]]:
    """The global arguments and the stages. *complete*: all instructions could be read."""
    arguments: list[Arg] = []
    stages: list[tuple[From, list[Instruction]]] = []
    for instruction in instructions:
        if isinstance(instruction, From):
            _check_name(instruction, [base.name for base, _ in stages], file, problems)
            stages.append((instruction, []))
        elif stages:
            _check_reference(instruction, len(stages) - 1, file, problems)
            stages[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        elif complete:
            cause = f"{instruction.text.split()[0].upper()} before the first FROM"
            problems.append(Problem(file, cause, "Only ARG may stand there", line=instruction.line))
    if not stages and complete:
        problems.append(Problem(file, "it has no FROM: there is nothing to build", "Begin with FROM"))
    return tuple(arguments), tuple(Stage(index, base, tuple(inner)) for index, (base, inner) in enumerate(stages))


def _check_name(base: From, taken: Sequence[str], file: str, problems: list[Problem]) -> None:
    if not base.name:
        return
    if base.name == "scratch" or not _STAGE_NAME.fullmatch(base.name):
        cause = f"{base.name!r} can't be the name of a stage"
        problems.append(Problem(file, cause, "Write a letter, then letters, digits, _ . -", line=base.line))
    elif base.name in taken:
        cause = f"there are two stages named {base.name}"
        problems.append(Problem(file, cause, "Give one another name", line=base.line))


def _check_reference(instruction: Instruction, index: int, file: str, problems: list[Problem]) -> None:
    """A number names an earlier stage; names may be those of images and are looked up when the stage is built."""
    sources = [instruction.from_] if isinstance(instruction, Copy) else []
    if isinstance(instruction, Run):
        sources = [mount.from_ for mount in instruction.mounts]
    for source in sources:
        if source.isdigit() and int(source) >= index:
            cause = f"from={source}: there is no earlier stage of that number"
            problems.append(Problem(file, cause, "Stages count from 0", line=instruction.line))


def _notes(directives: Directives, instructions: Sequence[Instruction]) -> tuple[str, ...]:
    notes = []
    if directives.syntax and not _FRONTEND.fullmatch(directives.syntax):
        notes.append(
            f"# syntax={directives.syntax}: another frontend is not run; the file is read as a plain Dockerfile"
        )
    if any(isinstance(instruction, Maintainer) for instruction in instructions):
        notes.append("MAINTAINER is deprecated: LABEL org.opencontainers.image.authors= says the same")
    return tuple(notes)
