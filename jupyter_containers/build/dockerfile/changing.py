"""Instructions on the command line (``commit --change 'CMD ["python"]'``): what they make of a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ...errors import InputError, Problem
from ...image.model import ExecutionConfig
from .flags import Refused
from .metadata import apply
from .model import (
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from .parser import parse_trigger
from .words import ExpansionError, expand

__all__ = ["change_config"]

_PLACE, _MESSAGE = "--change", "a change of the configuration is not possible"
_ALLOWED = (Cmd, Entrypoint, Env, Expose, Healthcheck, Label, OnBuild, Shell, StopSignal, User, Volume, Workdir)


def change_config(config: ExecutionConfig, changes: Sequence[str]) -> ExecutionConfig:
    """*config* after the Dockerfile's instructions *changes*; ``$NAME`` is a variable of the image's.

    :class:`InputError` for an instruction that is not well formed, or that makes files.
    """
    has_cmd = False
    for number, text in enumerate(changes, 1):
        instruction, variables = _parse(text, number), config.environment
        try:
            config = apply(instruction, config, partial(expand, variables=variables), has_cmd=has_cmd)
        except (Refused, ExpansionError) as refused:
            causes = refused.causes if isinstance(refused, Refused) else (str(refused),)
            problems = [Problem(_PLACE, cause, key=instruction.keyword, line=number) for cause in causes]
            raise InputError(_MESSAGE, problems=problems) from refused
        has_cmd = has_cmd or isinstance(instruction, Cmd)
    return config


def _parse(text: str, number: int) -> Instruction:
    try:
        instruction = parse_trigger(text, escape="\\", file=_PLACE, line=number)
    except InputError as error:
        problems = error.problems or [Problem(_PLACE, f"{text!r} is no instruction", line=number)]
        raise InputError(_MESSAGE, problems=problems) from error
    if not isinstance(instruction, _ALLOWED):
        allowed = ", ".join(kind.keyword for kind in _ALLOWED)
        cause = f"{instruction.keyword or text.split()[0].upper()} is not one of the configuration's"
        raise InputError(_MESSAGE, problems=[Problem(_PLACE, cause, f"Write one of {allowed}", line=number)])
    return instruction
