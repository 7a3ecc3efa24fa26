"""How a kernel is started, and what is known of it only then: decisions, no effects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from ..runtime.base import ContainerConfig
from .launch import Target, find_warm
from .limits import current_policy, decide
from .options import KernelOptions

__all__ = [
    "LATE_LIMITS", "Choice", "choose_start", "explain_no_fork", "foretell", "late_code", "rehearsed_code", "split_late",
]  # fmt: skip

LATE_LIMITS = ("memory", "cpus", "pids")
"""What can be changed while a kernel runs, and so for one that has been started already."""
LATE_VARIABLES = ("JPY_SESSION_NAME",)
"""Variables that are another in each kernel, and that a language can be told (:data:`_TOLD`)."""


def _tell_python(variables: Mapping[str, str]) -> str:
    # As one expression: no name of it is left among the user's. ipykernel keeps the notebook in __session__.
    session = variables.get("JPY_SESSION_NAME", "")
    named = f"; globals().__setitem__('__session__', {session!r})" if session else ""
    return f"__import__('os').environ.update({dict(variables)!r}){named}"


def _tell_r(variables: Mapping[str, str]) -> str:
    words = ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in variables.items())
    return f"invisible(Sys.setenv({words}))"


_TOLD: Mapping[str, Callable[[Mapping[str, str]], str]] = {"python": _tell_python, "r": _tell_r}
"""By language: code that sets variables, and leaves nothing else behind."""


_REHEARSED = {"python": "__import__('os').environ.update()", "r": "invisible(NULL)"}
"""By language: code that does nothing; what any first cell waits for has been done then."""


class Choice(NamedTuple):
    kind: Literal["fork", "pool", "fresh"]
    reason: str = ""
    """Why it is not the one before it in that list; empty: no warm start was asked for."""
    waits: bool = False
    """Whether it may be one that has been started ahead: the others of the pool, and forks."""


def choose_start(
    target: Target, options: KernelOptions, config: ContainerConfig, *, refused: str = "", restored: bool = False
) -> Choice:
    """How the kernel of *config* is to be started. *refused*: why the runtime can't fork it; *restored*: it begins with
    what another has saved."""
    if options.warm == "off":
        return Choice("fresh")
    no_fork = explain_no_fork(target, options, config) or refused
    no_pool = _explain_no_pool(options, config, restored=restored)
    if not no_fork:
        return Choice("fork", waits=not no_pool)
    if not no_pool:
        return Choice("pool", no_fork, waits=True)
    return Choice("fresh", f"{no_fork}, and none can wait in the pool: {no_pool}")


def explain_no_fork(target: Target, options: KernelOptions, config: ContainerConfig) -> str:
    """Why it can't be, or is not to be, a fork; empty: it can, as far as its configuration says."""
    if options.isolate:
        return "it is to share nothing with other kernels"
    if config.outlive:
        return "it can outlive the process that started it, and a fork can't"
    if config.warm is not None:
        return ""
    language = target.kernel.language
    if language.lower() != "python":
        return f"a kernel of {language} can't be a fork"
    if target.layers:
        return "an injected kernel can't be a fork"
    if target.kernel.argv:
        return "its command is its spec's own"
    if options.entrypoint:
        return "its image's Entrypoint starts it"
    return "its image has a kernel that can't be a fork"


def foretell(target: Target, options: KernelOptions) -> Choice:
    """How a kernel of *target* is going to be started, as far as is known before."""
    limits = decide(target.spec, options, ceiling=current_policy().ceiling).resources
    config = ContainerConfig(
        image=target.image, argv=(), gpus=limits.gpus, time=limits.time, outlive=current_policy().outlive,
        warm=find_warm(target, options),
    )  # fmt: skip
    if options.warm == "off":
        return Choice("fresh", "`warm` is off")
    return choose_start(target, options, config)


def _explain_no_pool(options: KernelOptions, config: ContainerConfig, *, restored: bool) -> str:
    if options.pool == 0:
        return "`pool` is 0"
    if options.restart == "keep":
        return "its writable layer outlives it"
    if restored:
        return "it begins with what its notebook has saved"
    if config.gpus:
        return "its GPUs are chosen when it starts"
    if config.outlive and config.time is not None:
        return "its time counts from its start, and it can outlive its server"
    return ""


def split_late(language: str, env: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """*env* as what a kernel is started with, and what one that runs can be told."""
    told = LATE_VARIABLES if language.lower() in _TOLD else ()
    late = {name: value for name, value in env.items() if name in told}
    return {name: value for name, value in env.items() if name not in late}, late


def late_code(language: str, variables: Mapping[str, str]) -> str:
    """What a kernel of *language* executes to have *variables*; see :func:`split_late`."""
    return _TOLD[language.lower()](variables)


def rehearsed_code(language: str) -> str:
    """What a kernel of *language* that waits executes, to be quick at its first cell; empty: nothing is known."""
    return _REHEARSED.get(language.lower(), "")
