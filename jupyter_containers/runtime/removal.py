"""Take a container away: its processes, control group, sockets, name and folder, in that order.

Standard library, ``sandbox/`` and ``image.tree`` only, and everything is read as plain JSON: the reaper does this in a
process that has imported nothing else, for an owner that is no more. Every step may already have been done by another.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import HostError
from ..image.tree import remove_tree
from ..sandbox import cgroup
from ..sandbox.cgroup import Group
from ..sandbox.handover import mark_link
from .identity import kill_process, kill_processes, read_scope, read_start_time, state_locked

__all__ = [
    "end_processes",
    "find_group",
    "group_name",
    "hide_container",
    "is_lasting",
    "let_go",
    "pin_name",
    "settle_container",
    "write_end",
]


def group_name(container_id: str) -> str:
    """Of a container's control group."""
    return f"jc-{container_id}"


def pin_name(container_id: str) -> str:
    """By which the store keeps its image for a container at rest."""
    return f"container-{container_id}"


def is_lasting(remove: bool, kind: str) -> bool:
    """Whether a container is there at rest, before it is started and after it has ended, and so keeps its image.

    Others hold a lease while they run, which costs no write to the disk.
    """
    return not remove and kind != "kernel"


def find_group(path: Path) -> Group | None:
    """The control group of the container in *path*, as its starter described it in ``group.json``."""
    described = _read(path / "group.json")
    return cgroup.restore_group(described) if described else None


def end_processes(*paths: Path) -> None:
    """SIGKILL what runs of the containers in *paths* (another host's are left alone).

    Each step is done for all before the next: their processes end side by side, and the host's are looked through once.
    """
    scope = read_scope()
    here = [(path, kept) for path in paths if (kept := _read(path / "state.json")).get("scope") == scope]
    for path, kept in here:
        if kept.get("paused"):
            let_go(path)  # a frozen process of cgroup v1 does not even end by SIGKILL
    # The first process is pid 1 of its namespace: the kernel ends all others with it, and it ends with bwrap's
    # outer process (--die-with-parent).
    kill_processes(tuple(kept.get("process") or (0, 0)) for _, kept in here)
    _kill_starting([path for path, kept in here if kept.get("status") != "exited"])
    for path, _ in here:
        group = find_group(path)
        if group is not None:
            group.kill()


def let_go(path: Path) -> None:
    """Have the container in *path* go on that was paused by its control group; nothing where it has none."""
    group = find_group(path)
    if group is not None:
        with suppress(HostError, OSError):
            group.freeze(frozen=False)


def _kill_starting(paths: Sequence[Path]) -> None:
    """SIGKILL what was on its way to become one of the containers in *paths* when its starter was killed.

    bwrap arms its parent-death signal only after a moment, in the outer process and in the container's first one: whose
    parent ends before that is given to init, and lives on. The outer one has ``status.json`` open, in which it tells
    the first one's pid; the first one has the filter of its system calls open, which bears the container's name.

    A keeper that lives has them open too, and the folder's lock besides: it ends the container itself, and is no one to
    kill. It may be a server with many other kernels.
    """
    # By what tells that one is meant: what tells that it is a keeper.
    marks = {
        mark: str(path / "lock")
        for path in paths
        for mark in (str(path / "status.json"), mark_link(path / "status.json"))
    }
    # Looked at twice: a keeper may be about to close both.
    while marks and (found := [pid for pid in _pids() if _is_meant(pid, marks) and _is_meant(pid, marks)]):
        for pid in found:
            # Its child may not have armed its signal: it goes first. Stopped, the parent makes no new one.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            for each in (*(child for child in _pids() if _parent(child) == pid), pid):
                start = read_start_time(each)
                if start is not None:
                    kill_process(each, start)
    for path in paths:
        first, start = _first_process(path / "status.json")
        if first:
            kill_process(first, start)


def _first_process(status: Path) -> tuple[int, int]:
    """Pid and start time of the first process that bwrap told of, if that very process lives; else zeros."""
    try:
        told = [json.loads(line) for line in status.read_bytes().splitlines()]
        pid = int(next(item["child-pid"] for item in told if "child-pid" in item))
        written = status.stat().st_mtime
    except (OSError, ValueError, TypeError, StopIteration):
        return 0, 0
    start = read_start_time(pid)
    if start is None or any("exit-code" in item for item in told):
        return 0, 0
    # A pid that was given again belongs to a process that is younger than the file.
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - start / os.sysconf("SC_CLK_TCK")
    return (pid, start) if time.time() - age <= written + 0.05 else (0, 0)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _is_meant(pid: int, marks: Mapping[str, str]) -> bool:
    """Whether process *pid* has one of *marks* open, and not the lock that goes with it."""
    links = set()
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):  # it has ended, or is another user's
        for name in os.listdir(folder):
            with suppress(OSError):
                links.add(os.readlink(f"{folder}/{name}"))  # noqa: PTH115
    return any(marks[mark] not in links for mark in links & marks.keys()) and read_start_time(pid) is not None


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def settle_container(path: Path, cause: str, *, ended: bool = False) -> None:
    """What to do for an owner that was killed: remove the container if it was to be removed at its end, or is a
    kernel, which nobody could talk to again; else let it be an ended one, for its log and files.

    What runs of it is ended first, unless all of it is known to have *ended*: looking for it takes a look at each
    process of the host.
    """
    config = _read(path / "config.json")
    if not (path / "group.json").exists():
        # Killed between making the group and describing it, the starter left one that only its name leads to.
        stray = cgroup.find_group(group_name(path.name))
        if stray is not None:
            stray.remove()
    if not ended:
        end_processes(path)
    _remove_around(path, config)
    if config.get("remove") or config.get("kind") == "kernel" or not config:
        remove_tree(hide_container(path, ended=True))
        return
    if _read(path / "state.json").get("status") == "running":
        write_end(path, {"status": "exited", "ended_at": time.time(), "exit_code": 137, "cause": cause})


def hide_container(path: Path, *, ended: bool = False) -> Path:
    """Remove all of it but its folder's content, which may be large: the folder that is still to be removed, by a name
    under which no container is looked for. What runs is killed first, unless it is known to have *ended*: then the
    control group is left as well."""
    config = _read(path / "config.json")
    if ended:
        _remove_sockets(config)
    else:
        end_processes(path)
        _remove_around(path, config)
    # One that its owner has removed has no pin: a Store would be made for nothing, and anew where the home is gone.
    if path.exists() and is_lasting(bool(config.get("remove")), str(config.get("kind"))):
        from ..image.store import Store  # late: not for the reaper's or a monitor's usual work

        Store(path.parent.parent / "store").unpin(pin_name(path.name))
    link = path.parent / "names" / str(config.get("name") or "-")
    with suppress(OSError):
        if str(link.readlink()) == path.name:
            link.unlink()
    # Out of sight in one step, so that no list shows half a container.
    gone = path.with_name(f".gone-{path.name}")
    with suppress(FileNotFoundError):
        path.rename(gone)
    return gone


def write_end(path: Path, changes: Mapping[str, object]) -> None:
    """Change keys of ``state.json``; nothing where the container was removed in the meantime."""
    file = path / "state.json"
    temporary = path / ".state.json-end"
    with suppress(FileNotFoundError), state_locked(path):
        state = json.loads(file.read_bytes())
        temporary.write_text(json.dumps(state | dict(changes)))
        temporary.replace(file)


def _remove_around(path: Path, config: Mapping[str, Any]) -> None:
    """What lies outside of its folder: control group and sockets."""
    group = find_group(path)
    if group is not None:
        group.remove()
        (path / "group.json").unlink(missing_ok=True)
    _remove_sockets(config)


def _remove_sockets(config: Mapping[str, Any]) -> None:
    for folder in config.get("scratch", ()):
        _remove_scratch(Path(folder))


def _remove_scratch(folder: Path) -> None:
    """A folder of sockets. Only one of our own, never through a link: the text comes from a file."""
    with suppress(FileNotFoundError):
        status = folder.lstat()
        if status.st_uid == os.geteuid() and status.st_mode & 0o170000 == 0o040000:
            remove_tree(folder)


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
