"""Running one command of a step: bounded, followed, and with an error that says all there is to say."""

from __future__ import annotations

import secrets
import subprocess
import threading
from collections.abc import Callable

from ..sandbox import process
from ..sandbox.cgroup import make_group
from ..sandbox.model import Sandbox
from .bounds import Bounds
from .report import Reporter, check_cancelled

__all__ = ["execute"]


def execute(
    sandbox: Sandbox,
    *,
    command: str,
    reporter: Reporter,
    cancel: threading.Event | None,
    bounds: Bounds | None = None,
    on_output: Callable[[bytes], None] | None = None,
    stdin: int | None = None,
) -> None:
    """Run *sandbox* to its end; its output goes to *on_output*, by default the reporter's. *command* is how an error
    names it; *stdin* a descriptor, by default of nothing.

    Raises :class:`BuildError` where it fails or takes longer than *bounds* allow, :class:`OutOfSpaceError`,
    :class:`LimitError` where this host can't enforce a bound on memory that was asked for.
    """
    bounds = bounds or Bounds()
    # The bound on processes is ours, against runaway scripts: a host that can't enforce it may build all the same.
    group = make_group(f"build-{secrets.token_hex(6)}", bounds.limits, accept=("pids",))
    try:
        status = process.run(
            sandbox, on_output=on_output or reporter.output, timeout=bounds.seconds, cancel=cancel, group=group,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
        )  # fmt: skip
        reporter.flush()
        check_cancelled(cancel)
        if status != 0:
            note = "ran out of memory" if group is not None and group.stats().oom_kills else ""
            raise reporter.failure(command, status, note=note)
    finally:
        if group is not None:
            group.remove()
