"""Limits of a container that runs, changed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..errors import ContainerError, InputError, LimitError, Problem
from ..sandbox.adjustment import adjust
from .base import ContainerConfig
from .folder import Folder, scope
from .limits import describe_group, report_limits
from .removal import find_group

__all__ = ["adjust_limits", "check_maximum"]


def adjust_limits(folder: Folder, config: ContainerConfig, wanted: Mapping[str, float]) -> None:
    """As of :meth:`.base.Container.update`."""
    kept = folder.kept()
    if not folder.is_running(kept) or kept.scope != scope():
        raise ContainerError(
            f"container {config.name} does not run here", hint="`jupyter containers ps` lists those that do"
        )
    check_maximum(wanted, config.maximum)
    group = find_group(folder.path)
    if group is None:
        raise LimitError(
            f"container {config.name} has no control group: its limits can't be changed while it runs",
            hint="set the limit in its spec and restart it; `jupyter containers doctor` tells what this host lacks",
        )
    changed = adjust(group, wanted)
    describe_group(changed, folder.path)
    have = {name: getattr(changed.limits, name) for name in ("memory", "cpus", "pids")}
    folder.change(limits=report_limits(msgspec.structs.replace(config, **have), changed))


def check_maximum(wanted: Mapping[str, float], maximum: Mapping[str, float]) -> None:
    """:class:`InputError` where something *wanted* is over the administrator's *maximum*, or is no limit. Pure."""
    problems = [
        Problem("", f"{value:g} is more than the administrator allows: {maximum[name]:g}", key=name)
        for name, value in wanted.items()
        if value > maximum.get(name, float("inf"))
    ]
    problems += [Problem("", "has to be more than 0", key=name) for name, value in wanted.items() if value <= 0]
    if problems:
        raise InputError("limits that it can't have", problems=problems)
