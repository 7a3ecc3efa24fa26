"""Instructions that change the image's configuration and no file (pure)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from ...image.model import ExecutionConfig, Healthcheck
from .flags import Refused
from .model import (
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Instruction,
    Label,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from .model import Healthcheck as HealthcheckInstruction
from .words import split_words

__all__ = ["DEFAULT_PATH", "DEFAULT_SHELL", "Expand", "apply", "working_folder"]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")

Expand: TypeAlias = Callable[[str], str]

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_SIGNAL = re.compile(r"(?:SIG)?(?:RTMIN\+\d{1,2}|RTMAX-\d{1,2}|[A-Z][A-Z0-9]{1,8})|[1-9]\d?", re.IGNORECASE)
_MOST_PORTS = 1024
"""Of one range: each becomes an entry of the configuration."""


def apply(instruction: Instruction, config: ExecutionConfig, expand: Expand, *, has_cmd: bool) -> ExecutionConfig:
    """*config* after *instruction*. *has_cmd*: a CMD came before in this build.

    Raises :class:`Refused` for values that are not well formed once expanded.
    """
    shell = config.shell or DEFAULT_SHELL
    changes: dict[str, Any]
    match instruction:
        case Env():
            pairs = {expand(name): expand(value) for name, value in instruction.pairs}
            if "" in pairs:
                raise Refused("a variable's name is empty once expanded")
            changes = {"env": _merge_env(config, pairs)}
        case Label():
            changes = {"labels": {**(config.labels or {}), **{expand(k): expand(v) for k, v in instruction.pairs}}}
        case Workdir():
            changes = {"working_dir": working_folder(config, expand(instruction.path))}
        case User():
            user = expand(instruction.user)
            if not user:
                raise Refused("the user's name is empty once expanded")
            changes = {"user": user}
        case Expose():
            ports = [port for text in instruction.ports for word in _expanded(text, expand) for port in _ports(word)]
            changes = {"exposed_ports": {**(config.exposed_ports or {}), **{port: {} for port in ports}}}
        case Volume():
            paths = [expand(path) for path in instruction.paths]
            if not all(paths):
                raise Refused("a volume's path is empty once expanded")
            changes = {"volumes": {**(config.volumes or {}), **{path: {} for path in paths}}}
        case StopSignal():
            signal = expand(instruction.signal)
            if not _SIGNAL.fullmatch(signal):
                raise Refused(f"{signal!r} is no signal")
            changes = {"stop_signal": signal}
        case Shell():
            changes = {"shell": instruction.argv}
        case Cmd():
            changes = {"cmd": instruction.command.vector(shell)}
        case Entrypoint():
            # A base's CMD is made for the base's ENTRYPOINT, and goes with it.
            changes = {"entrypoint": instruction.command.vector(shell)} | ({} if has_cmd else {"cmd": None})
        case HealthcheckInstruction():
            changes = {"healthcheck": _healthcheck(instruction, shell)}
        case OnBuild():
            changes = {"on_build": (*(config.on_build or ()), instruction.trigger)}
        case _:
            raise TypeError(instruction)
    return msgspec.structs.replace(config, **changes)


def working_folder(config: ExecutionConfig, path: str) -> str:
    """*path*, relative to the working directory so far, as an absolute path."""
    if not path:
        raise Refused("the path is empty once expanded")
    return posixpath.normpath(posixpath.join("/", config.working_dir, path)).replace("//", "/")


def _merge_env(config: ExecutionConfig, pairs: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in {**config.environment, **pairs}.items())


def _expanded(text: str, expand: Expand) -> list[str]:
    return [word for part in split_words(text, "\\") for word in expand(part).split()]


def _ports(text: str) -> list[str]:
    match = _PORT.fullmatch(text)
    first = int(match[1]) if match else 0
    last = int(match[2] or match[1]) if match else 0
    if match is None or not 0 < first <= last < 65536 or last - first >= _MOST_PORTS:
        raise Refused(f"{text!r} is not a port", remedy="Write 8080, 53/udp or 8000-8010")
    return [f"{number}/{(match[3] or 'tcp').lower()}" for number in range(first, last + 1)]


def _healthcheck(instruction: HealthcheckInstruction, shell: tuple[str, ...]) -> Healthcheck:
    command = instruction.command
    if command is None:
        return Healthcheck(test=("NONE",))
    times = {name.replace("-", "_"): value for name, value in instruction.times.items()}
    if command.argv is not None:
        return Healthcheck(test=("CMD", *command.argv), retries=instruction.retries, **times)
    if shell != DEFAULT_SHELL:
        # CMD-SHELL is run by the engine's own default shell: what SHELL names is written out.
        return Healthcheck(test=("CMD", *shell, command.line), retries=instruction.retries, **times)
    return Healthcheck(test=("CMD-SHELL", command.line), retries=instruction.retries, **times)
