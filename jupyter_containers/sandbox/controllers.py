"""Which control groups this process may make, and what can enforce which limit: decisions on given texts.

Three worlds: cgroup v2 alone, v1 alone, and hybrid hosts with v1 controllers beside an empty v2 tree.
Sources: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/*.rst of Linux, proc_pid_mountinfo(5), cgroups(7),
systemd's CGROUP_DELEGATION document.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from .model import NOTHING, Limits

__all__ = [
    "LIMITS",
    "Enforcement",
    "Facts",
    "Hierarchy",
    "acceptance",
    "decide",
    "find_hierarchies",
    "remedy",
]

LIMITS = ("memory", "cpus", "pids")
"""The limits that control groups are for; open_files and file_size are rlimits by nature."""

_CONTROLLER = {"memory": "memory", "cpus": "cpu", "pids": "pids"}
_ACCOUNTING = ("memory", "cpuacct", "pids", "freezer", "blkio")
"""v1 controllers whose figures, or whose freezer, are of use without a limit."""


class Hierarchy(NamedTuple):
    """One mounted tree and this process's own place in it."""

    version: Literal[1, 2]
    own: Path
    controllers: frozenset[str]
    """v1: those of the mount. v2: those that children of *own* have (cgroup.subtree_control)."""
    writable: bool


class Facts(NamedTuple):
    """What the decision stands on; :func:`.cgroup.this_host` gathers it."""

    hierarchies: tuple[Hierarchy, ...] = ()
    delegated: Hierarchy | None = None
    """The scope that the service manager has made for this process (:mod:`.delegation`)."""
    way_in: tuple[str, ...] = ()
    """What a process has to be started with to get there; empty: nothing."""
    pids_per_namespace: bool = True
    """RLIMIT_NPROC counts per user namespace (Linux 5.14)."""


class Enforcement(NamedTuple):
    """What will enforce each limit."""

    means: Mapping[str, str] = NOTHING
    """limit → ``cgroup v2``, ``cgroup v2 (systemd scope)``, ``cgroup v1``, ``rlimit``; absent: nothing can."""
    notes: Mapping[str, str] = NOTHING
    parents: Mapping[str, Path] = NOTHING
    """v1 controller (``unified`` for v2) → the folder in which a group is made."""
    way_in: tuple[str, ...] = ()
    """What the sandbox has to be started with, to be able to join its group."""
    unenforced: tuple[str, ...] = ()
    """Limits that were asked for and are enforced by nothing, or by less than what was asked for."""


def find_hierarchies(
    mountinfo: str,
    membership: str,
    *,
    read: Callable[[Path], str],
    writable: Callable[[Path], bool],
) -> tuple[Hierarchy, ...]:
    """The control group trees that are mounted, from /proc/self/mountinfo and /proc/self/cgroup."""
    own_v1: dict[str, str] = {}
    own_v2 = "/"
    for line in membership.splitlines():
        number, names, path = line.split(":", 2)
        if number == "0" and not names:
            own_v2 = path
        else:
            own_v1.update(dict.fromkeys(names.split(","), path))
    found: list[Hierarchy] = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        mount_root, mount_point = (_unescape(text) for text in left.split(" ")[3:5])
        if kind == "cgroup2":
            own = _own_folder(mount_point, mount_root, own_v2)
            controllers = frozenset(read(own / "cgroup.subtree_control").split())
            found.append(Hierarchy(2, own, controllers, writable(own)))
        elif kind == "cgroup":
            shared = frozenset(options.split(",")) & own_v1.keys()
            if shared:
                own = _own_folder(mount_point, mount_root, own_v1[min(shared)])
                found.append(Hierarchy(1, own, shared, writable(own)))
    return tuple(found)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _own_folder(mount_point: str, mount_root: str, path: str) -> Path:
    if mount_root == "/":
        return Path(mount_point, path.lstrip("/"))
    # In a container the mount shows the container's group as its root, and the path may be told from the host's.
    return Path(mount_point, path.removeprefix(mount_root).lstrip("/") if path.startswith(mount_root) else "")


def decide(limits: Limits, facts: Facts) -> Enforcement:
    """Choose, per limit: a v2 group below our own, v1 groups, a v2 group in a systemd scope, rlimits; in this order."""
    unified = next((h for h in facts.hierarchies if h.version == 2 and h.writable and h.controllers), None)
    legacy = {
        controller: h.own
        for h in facts.hierarchies
        if h.version == 1 and h.writable
        for controller in sorted(h.controllers)
    }
    asked = [limit for limit in LIMITS if getattr(limits, limit) is not None]
    means: dict[str, str] = {}
    parents: dict[str, Path] = {}
    if unified is not None:
        parents["unified"] = unified.own
    for limit in asked:
        controller = _CONTROLLER[limit]
        if unified is not None and controller in unified.controllers:
            means[limit] = "cgroup v2"
        elif controller in legacy:
            means[limit] = "cgroup v1"
            parents[controller] = legacy[controller]
        elif unified is None and facts.delegated is not None and controller in facts.delegated.controllers:
            means[limit] = "cgroup v2 (systemd scope)"
            parents["unified"] = facts.delegated.own
    if "unified" not in parents:
        parents.update({name: legacy[name] for name in _ACCOUNTING if name in legacy})
    if not asked and not parents and facts.delegated is not None:
        parents["unified"] = facts.delegated.own  # for its figures, and for forks of it that do have limits
    notes: dict[str, str] = {}
    unenforced: list[str] = []
    for limit in asked:
        if limit in means:
            continue
        if limit == "pids" and facts.pids_per_namespace:
            means[limit] = "rlimit"
            notes[limit] = "RLIMIT_NPROC, counted in the container's user namespace"
            continue
        unenforced.append(limit)
        if limit == "memory":
            means[limit] = "rlimit"
            notes[limit] = "RLIMIT_DATA bounds each process by itself, not the container as a whole"
        else:
            notes[limit] = _why_not(_CONTROLLER[limit], facts)
    way_in = facts.way_in if unified is None and "unified" in parents else ()
    return Enforcement(means, notes, parents, way_in, tuple(unenforced))


def _why_not(controller: str, facts: Facts) -> str:
    if facts.delegated is not None:
        return f"the service manager has no {controller} controller to delegate"
    if not facts.hierarchies:
        return "no control groups are mounted"
    return f"no group with the {controller} controller may be made here"


def remedy(unenforced: Sequence[str], facts: Facts) -> str:
    """How this host could enforce them, and how to do without."""
    controllers = " ".join(_CONTROLLER[limit] for limit in unenforced)
    if facts.delegated is not None:
        way = (
            f"let systemd delegate: a drop-in for user@.service with [Service] Delegate={controllers}, then log in "
            "again"
        )
    elif os.geteuid() != 0 and any(h.version == 1 and h.controllers for h in facts.hierarchies):
        way = (
            "cgroup v1 has no safe delegation: ask the administrator for cgroup v2 (systemd.unified_cgroup_hierarchy=1)"
        )
    else:
        way = "start the program in a systemd user session"
    return f"{way}; {acceptance(unenforced)}"


def acceptance(unenforced: Iterable[str]) -> str:
    """How to start without these limits, in the words of the command line and of Jupyter's configuration."""
    names = list(unenforced)
    options = " ".join(f"--accept-unenforced {name}" for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    return (
        f"or go without: `{options}` (run, execute), or in jupyter_config.py "
        f"`c.ContainerProvisioner.accept_unenforced = [{listed}]`"
    )
