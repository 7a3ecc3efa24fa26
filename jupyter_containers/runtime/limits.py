"""Limits of a container: its control group, and by what each limit is enforced."""

from __future__ import annotations

import resource
from collections.abc import Collection
from pathlib import Path

import msgspec

from ..sandbox import cgroup
from ..sandbox.cgroup import Group, make_group, with_scope
from ..sandbox.delegation import is_made
from ..sandbox.model import Limits
from ..spec.model import Resources
from .base import ContainerConfig, LimitReport
from .gpu import choose_gpus
from .removal import group_name

__all__ = ["apply_limits", "check_limits", "report_limits", "sandbox_limits"]


def check_limits(limits: Resources, *, accept: Collection[str] = ()) -> None:
    """Say now what a start would: :class:`~jupyter_containers.errors.LimitError`. Makes nothing."""
    cgroup.check_limits(sandbox_limits(limits), accept=accept)
    choose_gpus(limits.gpus or 0)


def sandbox_limits(config: ContainerConfig | Resources) -> Limits:
    files = config.files
    if files is not None:
        files = min(files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])  # more than the host allows can't be set
    return Limits(memory=config.memory, cpus=config.cpus, pids=config.pids, open_files=files)


def apply_limits(config: ContainerConfig, path: Path) -> Group | None:
    """Make the control group of the container in *path*, and write down how to find it again.

    Raises :class:`~jupyter_containers.errors.LimitError` for a limit that this host can't enforce and that
    ``accept_unenforced`` does not name; nothing is left then.
    """
    # Its forks may have limits: they get to their groups from where it is.
    facts = with_scope() if config.kind == "forkserver" and is_made() else None
    group = make_group(group_name(path.name), sandbox_limits(config), accept=config.accept_unenforced, facts=facts)
    if group is not None:
        describe_group(group, path)
    return group


def describe_group(group: Group, path: Path) -> None:
    """``group.json``: without a control group (rlimits alone) there is nothing to find."""
    if group.folders:
        (path / "group.json").write_bytes(msgspec.json.encode(group.describe()))


def report_limits(config: ContainerConfig, group: Group | None) -> tuple[LimitReport, ...]:
    """Each limit that was asked for. Pure."""
    rows = [
        LimitReport(limit=row.limit, asked=row.asked, enforced_by=row.enforced_by, note=row.note)
        for row in (group.report() if group is not None else ())
        if row.limit != "open_files"  # told below, by its name here, with a group or without
    ]
    told = {row.limit for row in rows}
    for limit in ("memory", "cpus", "pids"):
        asked = getattr(config, limit)
        if asked is not None and limit not in told:
            rows.append(LimitReport(limit=limit, asked=float(asked), note="accepted as not enforced"))
    if config.disk is not None:
        rows.append(
            LimitReport(
                limit="disk",
                asked=float(config.disk),
                enforced_by="watcher",
                note="measured every second or less often; the container is ended when its layer holds more",
            )
        )
    if config.gpus:
        rows.append(LimitReport(limit="gpus", asked=float(config.gpus), enforced_by="device nodes"))
    if config.files is not None:
        files = float(sandbox_limits(config).open_files or 0)
        rows.append(LimitReport(limit="files", asked=files, enforced_by="rlimit", note="of each process"))
    if config.time is not None:
        rows.append(LimitReport(limit="time", asked=float(config.time), enforced_by="watcher"))
    return tuple(rows)
