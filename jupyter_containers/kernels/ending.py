"""Why a kernel's container ended, for the person who looks at the notebook."""

from __future__ import annotations

import re

from ..errors import ContainerError, KernelError
from ..runtime.base import Container, ContainerState

__all__ = ["describe_end", "not_started", "startup_error"]

LINES = 20
"""Of the container's last output that an error holds: a traceback's end, not a whole log."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")

HINTS = (
    # pattern in the output or the cause, next step
    (r"No module named '?ipykernel", "add `ipykernel` to the spec's `packages.pip`"),
    (r"cannot open shared object file", "the image lacks a library that its own program needs: add the package of it"),
    (
        r"No such file or directory|no such program|not found|execvp",
        "the kernel's `argv` names a program that is not in the image: check `kernel.argv` of the spec",
    ),
    (r"[Oo]ut of memory|MemoryError", "raise `resources.memory` in the spec, or remove the limit"),
    (r"Too many open files", "close what is not needed any more, or raise `resources.files` in the spec"),
    (r"^out of time", "raise `resources.time` in the spec, or let it run in parts"),
    (r"No space left on device", "free disk space, or raise `resources.disk` in the spec"),
    (r"[Rr]esource temporarily unavailable|can't start new thread", "raise `resources.pids` in the spec"),
)


def describe_end(state: ContainerState) -> str:
    """``exit code 1`` or ``out of memory (limit 512 MiB …)``: the runtime's word for it."""
    return state.cause or f"exit code {state.exit_code}"


def startup_error(name: str, container: Container) -> KernelError:
    """The error for a container of the environment *name* that ended before its kernel could answer."""
    state = container.state()
    output = _plain(container.logs(tail=LINES))
    cause = describe_end(state)
    lines = [f"the kernel of {name} ended before it answered: {cause}"]
    if output:
        lines += ["its last output:", *(f"  | {line}" for line in output.splitlines())]
    hint = next((step for pattern, step in HINTS if re.search(pattern, f"{cause}\n{output}")), "")
    hint = hint or f"look around in it: `jupyter containers run -it --rm {name} sh`"
    return KernelError("\n".join(lines), output=output, exit_code=state.exit_code, hint=hint)


def not_started(name: str, error: ContainerError) -> KernelError:
    """The error for a container of *name* whose first program could not even be run."""
    hint = next((step for pattern, step in HINTS if re.search(pattern, error.message)), error.hint)
    message = f"the kernel of {name} could not start: {error.message}"
    return KernelError(message, output=error.output, exit_code=error.exit_code, hint=hint)


def _plain(text: str) -> str:
    """*text* without colours and other control characters: it ends up in logs, dialogs and notebooks."""
    lines = _ESCAPES.sub("", text).splitlines()
    return "\n".join("".join(char for char in line if char == "\t" or char.isprintable()) for line in lines[-LINES:])
