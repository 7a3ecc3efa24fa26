"""Control groups: one per sandbox, with its limits, its figures, and its end."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import HostError, LimitError
from .controllers import Enforcement, Facts, acceptance, decide, find_hierarchies, remedy
from .model import Limits
from .usage import Gauge, Usage, read

__all__ = [
    "Group",
    "Report",
    "Usage",
    "check_limits",
    "find_facts",
    "find_group",
    "find_groups",
    "make_group",
    "restore_group",
    "set_limit",
    "this_host",
    "with_scope",
]

_PARENT = "jupyter-containers"
_PERIOD = 100_000  # µs, the kernel's default period of the CPU bandwidth controller

# What is written where, per limit. A file that ends in "?" may be absent (swap accounting is optional).
_SETTINGS_V2 = {
    "memory": (("memory.max", "{0}"), ("memory.swap.max?", "0")),
    "cpus": (("cpu.max", "{1} " + str(_PERIOD)),),
    "pids": (("pids.max", "{0}"),),
}
_SETTINGS_V1 = {
    "memory": ("memory", (("memory.limit_in_bytes", "{0}"), ("memory.memsw.limit_in_bytes?", "{0}"))),
    "cpus": ("cpu", (("cpu.cfs_period_us", str(_PERIOD)), ("cpu.cfs_quota_us", "{1}"))),
    "pids": ("pids", (("pids.max", "{0}"),)),
}


class Report(NamedTuple):
    limit: str
    asked: float
    enforced_by: str
    """``cgroup v2``, ``cgroup v1``, ``rlimit`` …; empty: by nothing."""
    note: str = ""


class Group(NamedTuple):
    """The control groups of one sandbox. Owned by who made it: :meth:`remove` when the sandbox is gone.

    ``folders`` are by v1 controller, or ``unified``.
    """

    name: str
    limits: Limits
    enforcement: Enforcement
    folders: Mapping[str, Path]

    @property
    def joins(self) -> tuple[Path, ...]:
        """The files to which a process with one thread writes 0 to join.

        In v1 ``tasks``: ``cgroup.procs`` would do, but it waits until no process of the host is in the middle of a
        fork, which is a grace period of RCU, 6 to 16 ms (cgroup_procs_write_start in kernel/cgroup/cgroup.c).
        """
        files = {
            folder / ("cgroup.procs" if name == "unified" else "tasks"): None for name, folder in self.folders.items()
        }
        return tuple(files)

    @property
    def prefix(self) -> tuple[str, ...]:
        """What has to come before an argument vector of a process that joins; most often nothing."""
        return self.enforcement.way_in

    @property
    def pids_by_rlimit(self) -> int | None:
        return self.limits.pids if self.enforcement.means.get("pids") == "rlimit" else None

    @property
    def memory_by_rlimit(self) -> int | None:
        return self.limits.memory if self.enforcement.means.get("memory") == "rlimit" else None

    def report(self) -> tuple[Report, ...]:
        """Each limit that was asked for, and what enforces it."""
        rows = [
            Report(limit, asked, self.enforcement.means.get(limit, ""), self.enforcement.notes.get(limit, ""))
            for limit in ("memory", "cpus", "pids")
            if (asked := getattr(self.limits, limit)) is not None
        ]
        rows += [
            Report(limit, asked, "rlimit")
            for limit in ("open_files", "file_size")
            if (asked := getattr(self.limits, limit)) is not None
        ]
        return tuple(rows)

    def stats(self) -> Usage:
        return Gauge(self.folders).read()

    def pids(self) -> frozenset[int]:
        found: set[int] = set()
        for folder in self.folders.values():
            found.update(int(word) for word in read(folder / "cgroup.procs").split())
        return frozenset(found)

    def freeze(self, frozen: bool = True) -> None:
        """Stop, or go on with, all its processes. Raises HostError where no freezer is at hand."""
        if "unified" in self.folders:
            (self.folders["unified"] / "cgroup.freeze").write_text("1" if frozen else "0")
        elif "freezer" in self.folders:
            (self.folders["freezer"] / "freezer.state").write_text("FROZEN" if frozen else "THAWED")
        else:
            raise HostError(
                "pausing needs a control group with a freezer",
                hint="`jupyter containers doctor` tells why there is none",
            )

    def kill(self) -> None:
        """SIGKILL to all its processes, new ones included; returns when none is left."""
        at_once = self.folders.get("unified", Path("/nonexistent")) / "cgroup.kill"  # Linux 5.14
        deadline = time.monotonic() + 10
        while pids := self.pids():
            if at_once.exists():
                at_once.write_text("1")
            else:
                with contextlib.suppress(HostError, OSError):
                    self.freeze()  # so that nothing forks away while the list is worked through
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(HostError, OSError):
                    self.freeze(frozen=False)
            if time.monotonic() > deadline:
                raise HostError(
                    f"processes {sorted(pids)} of {self.name} do not end",
                    hint="they wait for a device or a network disk",
                )
            time.sleep(0.005)

    def remove(self) -> None:
        """Kill what is left and remove the groups; nothing happens when they are gone."""
        folders = dict.fromkeys(self.folders.values())
        if all(_is_removed(folder) for folder in folders):
            return  # the usual end: no process was left in any
        self.kill()
        for folder in folders:
            _remove(folder)

    def describe(self) -> dict[str, Any]:
        """As JSON can hold it; :func:`restore_group` reads it."""
        return {
            "name": self.name,
            "limits": {name: getattr(self.limits, name) for name in Limits._fields},
            "folders": {name: str(folder) for name, folder in self.folders.items()},
            "means": dict(self.enforcement.means),
            "notes": dict(self.enforcement.notes),
            "way_in": list(self.enforcement.way_in),
        }


def restore_group(described: Mapping[str, Any]) -> Group:
    """A group that another process made."""
    enforcement = Enforcement(described["means"], described["notes"], way_in=tuple(described["way_in"]))
    folders = {name: Path(path) for name, path in described["folders"].items()}
    return Group(described["name"], Limits(**described["limits"]), enforcement, folders)


def find_groups(prefix: str = "") -> tuple[Group, ...]:
    """The groups under this host's hierarchies whose names start with *prefix*, whoever made them: without their
    limits and what enforces them (:func:`restore_group` has those), but with all that ends them."""
    found: dict[str, dict[str, Path]] = {}
    for hierarchy in this_host().hierarchies:
        top = hierarchy.own
        while top.parent.joinpath("cgroup.procs").exists():
            top = top.parent
        keys = ("unified",) if hierarchy.version == 2 else tuple(sorted(hierarchy.controllers))
        for folder, names, _ in os.walk(top):
            if Path(folder).name == _PARENT:
                for name in names:
                    found.setdefault(name, {}).update(dict.fromkeys(keys, Path(folder, name)))
                names.clear()
    return tuple(
        Group(name, Limits(), Enforcement(), folders)
        for name, folders in sorted(found.items())
        if name.startswith(prefix)
    )


def find_group(name: str) -> Group | None:
    """The group of that name, as :func:`find_groups` has it."""
    return next((group for group in find_groups(name) if group.name == name), None)


def check_limits(limits: Limits, *, accept: Collection[str] = (), facts: Facts | None = None) -> Enforcement:
    """How *limits* would be enforced. Makes nothing, but may ask the service manager.

    Raises LimitError for those that can't be and that *accept* does not name.
    """
    facts = facts or find_facts(limits)
    enforcement = decide(limits, facts)
    refused = [limit for limit in enforcement.unenforced if limit not in accept]
    if refused:
        reasons = "; ".join(f"{limit}: {enforcement.notes[limit]}" for limit in refused)
        raise LimitError(f"this host can't enforce {', '.join(refused)} ({reasons})", hint=remedy(refused, facts))
    return enforcement


def make_group(name: str, limits: Limits, *, accept: Collection[str] = (), facts: Facts | None = None) -> Group | None:
    """Make a sandbox's control groups; None where none can be made and none is asked for.

    *accept* are names of limits that may go unenforced. Raises LimitError for the others, and then leaves nothing.
    """
    enforcement = check_limits(limits, accept=accept, facts=facts)
    if not enforcement.means and not enforcement.parents:
        return None
    folders: dict[str, Path] = {}
    try:
        for controller, parent in enforcement.parents.items():
            folder = parent / _PARENT / name
            _make(folder, controller)
            folders[controller] = folder
        for limit, means in enforcement.means.items():
            set_limit(limit, means, float(getattr(limits, limit)), folders)
    except OSError as error:
        for folder in folders.values():
            _remove(folder)
        raise LimitError(f"cannot set up the control group {error.filename or name}: {error.strerror}",
                         hint=f"ask the administrator, {acceptance(enforcement.means)}") from error  # fmt: skip
    return Group(name, limits, enforcement, folders)


def _make(folder: Path, controller: str) -> None:
    if controller == "unified":
        folder.parent.mkdir(exist_ok=True)
        wanted, control = read(folder.parent.parent / "cgroup.subtree_control").split(), "cgroup.subtree_control"
        # Written only where it changes something: the kernel first waits for all groups that are being removed.
        if not set(wanted) <= set(read(folder.parent / control).split()):
            (folder.parent / control).write_text(" ".join(f"+{each}" for each in wanted))
    elif controller == "cpuset":
        raise AssertionError("no limit uses cpuset, whose groups need cpus and mems first")
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError:  # the first one of this host
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)


def set_limit(limit: str, means: str, value: float, folders: Mapping[str, Path]) -> None:
    """Write *limit* to the files of a group in *folders*, where *means* is a control group; else nothing."""
    if means.startswith("cgroup v2"):
        folder, settings = folders["unified"], _SETTINGS_V2[limit]
    elif means == "cgroup v1":
        controller, settings = _SETTINGS_V1[limit]
        folder = folders[controller]
    else:
        return
    for file, text in settings:
        path = folder / file.removesuffix("?")
        if file.endswith("?") and not path.exists():
            continue
        path.write_text(text.format(int(value), max(1000, round(value * _PERIOD))))


def _is_removed(folder: Path) -> bool:
    """Try to remove an empty group."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _remove(folder: Path) -> None:
    pause = 0.0002
    while pause < 1:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(pause)  # EBUSY: an ended process still leaves
            pause *= 1.5
    raise HostError(f"the control group {folder} can't be removed: it is in use")


def find_facts(limits: Limits) -> Facts:
    """What there is to enforce *limits* with; the service manager is asked only where it takes that."""
    facts = this_host()
    return with_scope() if decide(limits, facts).unenforced else facts


@functools.cache
def this_host() -> Facts:
    """What this process may make here, without the service manager's help."""
    hierarchies = find_hierarchies(
        Path("/proc/self/mountinfo").read_text(),
        Path("/proc/self/cgroup").read_text(),
        read=read,
        writable=lambda folder: os.access(folder, os.W_OK),
    )
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return Facts(hierarchies, pids_per_namespace=release >= (5, 14))


def with_scope() -> Facts:
    """The same, and what systemd delegates to this process: a scope is made for it."""
    from .delegation import delegated

    found = delegated()
    return this_host() if found is None else this_host()._replace(delegated=found.hierarchy, way_in=found.way_in)
