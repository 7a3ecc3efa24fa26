"""A part of the control group tree that systemd hands over to this process: one scope, held for as long as it lives.

On a host with systemd the tree is systemd's, and an ordinary user may make no group where a login session put him. A
scope with ``Delegate=yes`` is his, with its controllers. In it every sandbox gets a group of its own, made, read and
removed as anywhere else: a scope for each sandbox would be gone with its last process, and with it what it has counted
(why a kernel was killed), and systemd would end all of a sandbox where one of its processes ran out of memory.

A scope lives as long as a process is in it. That is one which waits for the end of a pipe: the end of this process,
however that comes. Processes of a login session can't be moved into the scope by the user (the group that holds both
is root's); systemd moves them into a scope of their own first, from where they may go (:attr:`Delegated.way_in`).

Source: systemd's CGROUP_DELEGATION document, Linux' Documentation/admin-guide/cgroup-v2.rst ("Delegation Containment").
"""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path
from typing import NamedTuple

from .controllers import Hierarchy
from .usage import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

__all__ = ["Delegated", "delegated", "holder_pipe", "is_made", "manager_environment", "way_into"]

_PATIENCE = 10.0
_HOLD = "cat /proc/self/cgroup && exec cat"
_TREE = "/sys/fs/cgroup"


class Delegated(NamedTuple):
    """Where groups may be made."""

    hierarchy: Hierarchy
    way_in: tuple[str, ...] = ()
    """The start of an argument vector with which a process gets to where it may join them; empty: it may already."""


def delegated() -> Delegated | None:
    """This process's scope, made at the first call; None where there is no service manager, or it refuses."""
    with _guard:
        if os.getpid() not in _made:
            _made.clear()  # a fork: that one is the parent's
            _made[os.getpid()] = _make()
        found = _made[os.getpid()]
    return found[0] if found is not None else None


_guard = threading.Lock()
_made: dict[int, tuple[Delegated, subprocess.Popen[str]] | None] = {}
"""By process; with the holder, whose pipe must stay open."""


def is_made() -> bool:
    """Whether this process has a scope already."""
    return _made.get(os.getpid()) is not None


def holder_pipe() -> int | None:
    """The descriptor whose end is the scope's, for a process that lives on as another program (execve); None: there is
    no scope of ours."""
    found = _made.get(os.getpid())
    return found[1].stdin.fileno() if found is not None and found[1].stdin is not None else None


def manager_environment() -> dict[str, str]:
    """What systemd-run needs to find the user's service manager, also where no session has set it (cron, su)."""
    names = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "PATH")
    found = {name: os.environ[name] for name in names if name in os.environ}
    runtime = f"/run/user/{os.geteuid()}"
    if "XDG_RUNTIME_DIR" not in found and os.path.isdir(runtime):  # noqa: PTH112  a quick look
        found["XDG_RUNTIME_DIR"] = runtime
    return found


def _make() -> tuple[Delegated, subprocess.Popen[str]] | None:
    import subprocess  # late, as shutil below: 8 ms, and few starts come here

    scope = _command()
    if not scope:
        return None
    unit = f"jupyter-containers-{os.getpid()}-{os.urandom(3).hex()}.scope"
    try:
        holder = subprocess.Popen(
            [*scope, "--unit", unit, "-p", "Delegate=yes", "--", "/bin/sh", "-c", _HOLD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            cwd="/", env=manager_environment(), start_new_session=True,
        )  # fmt: skip
    except OSError:
        return None
    try:
        folder = _settle(holder)
        way_in = way_into(folder)
    except (OSError, ValueError):
        holder.kill()
        holder.wait()
        return None
    hierarchy = Hierarchy(2, folder, frozenset(read(folder / "cgroup.subtree_control").split()), True)
    return Delegated(hierarchy, way_in), holder


def _settle(holder: subprocess.Popen[str]) -> Path:
    """The scope's folder, with its controllers handed on to the groups in it; the holder goes into one of its own,
    since a group that hands on has no process itself."""
    assert holder.stdout is not None
    ready, _, _ = select.select([holder.stdout], [], [], _PATIENCE)
    told = _path(holder.stdout.readline()) if ready else ""
    folder = Path(_TREE + told)
    if not told.endswith(".scope") or not (folder / "cgroup.procs").exists():
        raise ValueError("no scope")
    held = folder / "holder"
    held.mkdir()
    (held / "cgroup.procs").write_text(str(holder.pid))
    for controller in read(folder / "cgroup.controllers").split():
        (folder / "cgroup.subtree_control").write_text(f"+{controller}")
    return folder


def way_into(folder: Path) -> tuple[str, ...]:
    """What a process has to be started with from here to be able to join *folder*, a group in a delegated scope."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = _TREE + next(_path(line) for line in lines if line.startswith("0::"))
    # Who may write to the nearest group above both may move a process from one to the other.
    common = os.path.commonpath([own, folder])
    command = () if os.access(f"{common}/cgroup.procs", os.W_OK) else _command()
    return (*command, "--") if command else ()


def _command() -> tuple[str, ...]:
    """systemd-run with the options of a scope; empty where there is no service manager."""
    import shutil

    program = shutil.which("systemd-run")
    if program is None or not Path("/run/systemd/system").is_dir():
        return ()
    return (program, *(() if os.geteuid() == 0 else ("--user",)), "--scope", "--quiet", "--collect")


def _path(line: str) -> str:
    return line.partition("0::")[2].strip()
