"""Limits of a sandbox that runs, changed by its control group.

A limit below what is in use: of processes it only keeps new ones from starting; of CPUs there is none; of memory
the kernel of the host would kill for it in v2, and answers EBUSY in v1 (Documentation/admin-guide/cgroup-v2.rst,
"memory.max"; cgroup-v1/memory.rst). Here it is refused in both, once what can be given back has been.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import LimitError
from .cgroup import Group, set_limit
from .usage import read

__all__ = ["adjust", "find_means"]

_V1 = {"memory": "memory", "cpus": "cpu", "pids": "pids"}
_V2 = {"memory": "memory.max", "cpus": "cpu.max", "pids": "pids.max"}


def find_means(group: Group, limit: str) -> str:
    """What can enforce *limit* on *group* from now on; :class:`LimitError` where nothing can."""
    known = group.enforcement.means.get(limit, "")
    if known.startswith("cgroup"):
        return known
    unified = group.folders.get("unified")
    if unified is not None and (unified / _V2[limit]).exists():
        return "cgroup v2"
    if _V1[limit] in group.folders:
        return "cgroup v1"
    if known == "rlimit":
        cause = "it is held by an rlimit, which processes that run keep"
    else:
        cause = f"it was started without a control group of the {_V1[limit]} controller"
    raise LimitError(f"{limit} can't be changed while it runs: {cause}", hint="set the limit, and restart it")


def adjust(group: Group, wanted: Mapping[str, float]) -> Group:
    """Set the limits of *wanted* (``memory`` in bytes, ``cpus``, ``pids``), all of them or none.

    :class:`LimitError` for one that can't be had on this host, or for memory that is in use.
    """
    means = {limit: find_means(group, limit) for limit in wanted}
    # Memory goes first: it alone can be refused.
    for limit in sorted(wanted, key=lambda limit: limit != "memory"):
        value = wanted[limit]
        try:
            if limit == "memory":
                _set_memory(means[limit], int(value), group)
            else:
                set_limit(limit, means[limit], value, group.folders)
        except OSError as error:
            raise LimitError(
                f"{limit} can't be set: {error.filename or group.name}: {error.strerror}",
                hint="ask the administrator",
            ) from error
    enforcement = group.enforcement._replace(means={**group.enforcement.means, **means})
    values: dict[str, Any] = {name: value if name == "cpus" else int(value) for name, value in wanted.items()}
    return group._replace(limits=group.limits._replace(**values), enforcement=enforcement)


def _set_memory(means: str, value: int, group: Group) -> None:
    if means.startswith("cgroup v2"):
        folder = group.folders["unified"]
        high = folder / "memory.high"
        before = read(high) or "max"
        high.write_text(str(value))  # returns when what can be given back has been
        try:
            if int(read(folder / "memory.current") or 0) > value:
                raise _in_use(int(read(folder / "memory.current")), value)
            set_limit("memory", means, value, group.folders)
        finally:
            high.write_text(before)
        return
    folder = group.folders["memory"]
    files = [folder / "memory.limit_in_bytes", folder / "memory.memsw.limit_in_bytes"]
    if int(read(files[0]) or 0) < value:
        files.reverse()  # what counts swap as well is never below what does not
    try:
        _write_all(files, value)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        raise _in_use(int(read(folder / "memory.usage_in_bytes") or 0), value) from error


def _write_all(files: list[Path], value: int) -> None:
    for file in files:
        if file.exists():  # swap is not counted everywhere
            file.write_text(str(value))


def _in_use(used: int, value: int) -> LimitError:
    return LimitError(
        f"memory can't be limited to {value / (1 << 20):.0f} MiB: {used / (1 << 20):.0f} MiB are in use",
        hint="free memory in it first, or choose a higher limit",
    )
