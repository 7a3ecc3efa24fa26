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
from .usage import Usage, read, usage_v1, usage_v2

__all__ = [
    "Group",
    "Report",
    "Usage",
    "check_limits",
    "find_group",
    "find_groups",
    "make_group",
    "restore_group",
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

    ``folders`` are by v1 controller, or ``unified``. A systemd scope has none until :meth:`located`.
    """

    name: str
    limits: Limits
    enforcement: Enforcement
    folders: Mapping[str, Path]

    @property
    def joins(self) -> tuple[Path, ...]:
        """The files to which a process writes 0 to join."""
        return tuple(dict.fromkeys(folder / "cgroup.procs" for folder in self.folders.values()))

    @property
    def prefix(self) -> tuple[str, ...]:
        """The start of the argument vector where systemd makes the group: it runs the rest in a scope."""
        if not self.enforcement.scope:
            return ()
        properties = {"CollectMode": "inactive-or-failed"}
        by_scope = {k for k, v in self.enforcement.means.items() if v.endswith("(systemd scope)")}
        if self.limits.memory is not None and "memory" in by_scope:
            properties |= {"MemoryMax": str(self.limits.memory), "MemorySwapMax": "0"}
        if self.limits.cpus is not None and "cpus" in by_scope:
            properties["CPUQuota"] = f"{max(1, round(self.limits.cpus * 100))}%"
        if self.limits.pids is not None and "pids" in by_scope:
            properties["TasksMax"] = str(self.limits.pids)
        settings = [text for name, value in properties.items() for text in ("-p", f"{name}={value}")]
        return (*self.enforcement.scope, "--unit", f"{_PARENT}-{self.name}.scope", *settings, "--")

    @property
    def pids_by_rlimit(self) -> int | None:
        return self.limits.pids if self.enforcement.means.get("pids") == "rlimit" else None

    @property
    def memory_by_rlimit(self) -> int | None:
        return self.limits.memory if self.enforcement.means.get("memory") == "rlimit" else None

    def located(self, pid: int) -> Group:
        """The same group once a process is in its scope: with the folder that systemd made.

        Raises LimitError when a limit is not in force there after all.
        """
        if not self.enforcement.scope:
            return self
        membership = Path(f"/proc/{pid}/cgroup").read_text()
        path = next(line.split("::", 1)[1] for line in membership.splitlines() if line.startswith("0::"))
        mount = next((h.own for h in this_host().hierarchies if h.version == 2), Path("/sys/fs/cgroup"))
        own = Path("/proc/self/cgroup").read_text().rpartition("0::")[2].strip()
        folder = Path(str(mount).removesuffix(own) or "/", path.lstrip("/"))
        for limit, means in self.enforcement.means.items():
            file = folder / _SETTINGS_V2[limit][0][0]
            if means.endswith("(systemd scope)") and read(file).partition(" ")[0] in ("", "max"):
                raise LimitError(
                    f"systemd made the scope {path} without the {limit} limit",
                    hint=remedy([limit], with_scope()),
                )
        return self._replace(folders={"unified": folder})

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
        if "unified" in self.folders:
            return usage_v2(self.folders["unified"])
        return usage_v1(self.folders)

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
        self.kill()
        if self.enforcement.scope:
            return  # systemd collects a scope when it is empty
        for folder in dict.fromkeys(self.folders.values()):
            _remove(folder)

    def describe(self) -> dict[str, Any]:
        """As JSON can hold it; :func:`restore_group` reads it."""
        return {
            "name": self.name,
            "limits": {name: getattr(self.limits, name) for name in Limits._fields},
            "folders": {name: str(folder) for name, folder in self.folders.items()},
            "means": dict(self.enforcement.means),
            "notes": dict(self.enforcement.notes),
            "scope": list(self.enforcement.scope),
        }


def restore_group(described: Mapping[str, Any]) -> Group:
    """A group that another process made."""
    enforcement = Enforcement(described["means"], described["notes"], scope=tuple(described["scope"]))
    folders = {name: Path(path) for name, path in described["folders"].items()}
    return Group(described["name"], Limits(**described["limits"]), enforcement, folders)


def find_groups(prefix: str = "") -> tuple[Group, ...]:
    """The groups under this host's hierarchies whose names start with *prefix*, whoever made them: without their
    limits and what enforces them (:func:`restore_group` has those), but with all that ends them."""
    found: dict[str, dict[str, Path]] = {}
    scopes: set[str] = set()
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
            for name in names:
                if name.startswith(f"{_PARENT}-") and name.endswith(".scope"):
                    plain = name.removeprefix(f"{_PARENT}-").removesuffix(".scope")
                    found[plain] = {"unified": Path(folder, name)}
                    scopes.add(plain)
    return tuple(
        Group(name, Limits(), Enforcement(scope=("systemd-run",) if name in scopes else ()), folders)
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
    given = facts is not None
    facts = facts or this_host()
    enforcement = decide(limits, facts)
    if enforcement.unenforced and not given:
        facts = with_scope()  # asks the service manager, so only when it is needed
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
            _set(limit, means, float(getattr(limits, limit)), folders)
    except OSError as error:
        for folder in folders.values():
            _remove(folder)
        raise LimitError(f"cannot set up the control group {error.filename or name}: {error.strerror}",
                         hint=f"ask the administrator, {acceptance(enforcement.means)}") from error  # fmt: skip
    return Group(name, limits, enforcement, folders)


def _make(folder: Path, controller: str) -> None:
    folder.parent.mkdir(exist_ok=True)
    if controller == "unified":
        enabled = read(folder.parent.parent / "cgroup.subtree_control").split()
        (folder.parent / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in enabled))
    elif controller == "cpuset":
        raise AssertionError("no limit uses cpuset, whose groups need cpus and mems first")
    folder.mkdir(exist_ok=True)


def _set(limit: str, means: str, value: float, folders: Mapping[str, Path]) -> None:
    if means == "cgroup v2":
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


@functools.cache
def with_scope() -> Facts:
    """The same, and whether systemd starts scopes for us: tried with an empty one."""
    scope, controllers = _systemd()
    return this_host()._replace(scope=scope, scope_controllers=controllers)


def _systemd() -> tuple[tuple[str, ...], frozenset[str]]:
    import shutil  # late, the two: they cost 8 ms, and few starts come here
    import subprocess

    program = shutil.which("systemd-run")
    if program is None or not Path("/run/systemd/system").is_dir():
        return (), frozenset()
    uid = os.geteuid()
    scope = (program, *(() if uid == 0 else ("--user",)), "--scope", "--quiet")
    try:
        done = subprocess.run([*scope, "--", "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return (), frozenset()
    if done.returncode != 0:
        return (), frozenset()
    manager = "" if uid == 0 else f"user.slice/user-{uid}.slice/user@{uid}.service"
    return scope, frozenset(read(Path("/sys/fs/cgroup", manager, "cgroup.controllers")).split())
