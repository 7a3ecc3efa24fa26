"""Variables: global and stage's ARG, ``--build-arg``, predefined ones, and ENV above them all.

A stage's ARG takes the ``--build-arg`` of its name, else its own default, else the value of a global ARG of that
name. Proxies need no ARG and never count for the cache (Dockerfile reference, "Predefined ARGs").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import InputError, Problem
from .model import Arg, Dockerfile, Instruction, OnBuild
from .parser import parse_trigger
from .platform import Platform
from .words import ExpansionError, expand

__all__ = ["PROXIES", "Scope", "check_size", "declare_global", "expand_in", "unused_arguments"]

PROXIES = frozenset(
    name for scheme in ("http", "https", "ftp", "no", "all") for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())
)
_MOST = 1 << 20
"""Characters of all variables; the kernel lets a process have 2 MiB of arguments and variables (execve(2))."""
_PREDEFINED = PROXIES | {"SOURCE_DATE_EPOCH", "BUILDKIT_INLINE_CACHE", "BUILDKIT_SYNTAX"}


@dataclass(frozen=True, slots=True)
class Scope:
    """The arguments that instructions see; ENV is the image's own and comes from its configuration."""

    given: Mapping[str, str]
    """``--build-arg``."""
    inherited: Mapping[str, str] = field(default_factory=dict)
    """What a stage's ARG without a default takes: global ones and the platform's."""
    args: Mapping[str, str] = field(default_factory=dict)

    def declare(self, name: str, default: str | None) -> Scope:
        """This scope after ``ARG name[=default]``."""
        value = self.given.get(name, self.inherited.get(name) if default is None else default)
        if value is None:
            return self
        return dataclasses.replace(self, args={**self.args, name: value})

    def stage(self) -> Scope:
        """What a stage begins with, in terms of this global scope."""
        return Scope(self.given, {**self.inherited, **self.args})

    @property
    def proxies(self) -> dict[str, str]:
        return {name: value for name, value in self.given.items() if name in PROXIES}

    @property
    def counted(self) -> dict[str, str]:
        """Arguments as variables of a RUN, without those that must not change its result."""
        return {name: value for name, value in self.args.items() if name not in PROXIES}


def declare_global(dockerfile: Dockerfile, given: Mapping[str, str], target: Platform, build: Platform) -> Scope:
    """The scope of FROM: global ARGs, and the platforms'."""
    platforms = {
        **{f"TARGET{name}": value for name, value in target.variables.items()},
        **{f"BUILD{name}": value for name, value in build.variables.items()},
    }
    scope = Scope(given, platforms, platforms)
    for argument in dockerfile.arguments:
        scope = declare_all(scope, argument, {}, dockerfile)
    return scope


def declare_all(scope: Scope, argument: Arg, env: Mapping[str, str], dockerfile: Dockerfile) -> Scope:
    """*scope* after the instruction *argument*; defaults may use what was there before."""
    for name, default in argument.pairs:
        variables = {**scope.args, **env}
        value = None if default is None else expand_in(default, variables, dockerfile, argument)
        scope = scope.declare(expand_in(name, variables, dockerfile, argument), value)
    check_size({**scope.args, **env}, dockerfile, argument)
    return scope


def check_size(variables: Mapping[str, str], dockerfile: Dockerfile, instruction: Instruction) -> None:
    """:class:`InputError` for more of them than any process can be started with."""
    size = sum(len(name) + len(value) for name, value in variables.items())
    if size > _MOST:
        problem = Problem(dockerfile.file, f"all variables together have {size} characters", line=instruction.line)
        raise InputError(f"variables of more than {_MOST} characters can't be given to a command", problems=[problem])


def expand_in(text: str, variables: Mapping[str, str], dockerfile: Dockerfile, instruction: Instruction) -> str:
    """:func:`.words.expand`, with an :class:`InputError` that names the place."""
    try:
        return expand(text, variables, dockerfile.escape)
    except ExpansionError as error:
        problem = Problem(dockerfile.file, str(error), line=instruction.line)
        raise InputError("a variable can't be expanded", problems=[problem]) from error


def unused_arguments(dockerfile: Dockerfile, given: Mapping[str, str]) -> tuple[str, ...]:
    """Names of ``--build-arg`` that no ARG takes up."""
    declared = {name for argument in dockerfile.arguments for name, _ in argument.pairs}
    for stage in dockerfile.stages:
        for instruction in stage.instructions:
            if isinstance(instruction, OnBuild):
                instruction = parse_trigger(
                    instruction.trigger, escape=dockerfile.escape, file=dockerfile.file, line=instruction.line
                )
            if isinstance(instruction, Arg):
                declared |= {name for name, _ in instruction.pairs}
    return tuple(sorted(set(given) - declared - _PREDEFINED))
