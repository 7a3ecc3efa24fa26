"""bubblewrap: from a :class:`Sandbox` to an argument vector (pure).

Source: bwrap(1), version 0.11; masked and read-only paths after Docker's default (moby, oci/defaults.go).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import HostError
from . import terminal
from .choice import Bwrap, find_bwrap
from .merging import check_length
from .model import NOTHING, Sandbox, Tmpfs, Volume
from .preparation import by_depth

__all__ = ["Bwrap", "Fds", "Host", "arguments", "find_bwrap", "options", "this_host"]

_MASKED = (
    *("/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats"),
    *("/proc/sched_debug", "/proc/interrupts", "/proc/kmsg"),
)
FIRST = "/proc/1"
"""Of the first process, which is bwrap's, and the host's file that it runs (``exe``) with it. Who owns that file could
write to it through there, where the kernel lets a program that runs be written to (Linux 6.11 and the first 6.12 do;
others answer ETXTBSY). Cf. CVE-2019-5736 of runc."""
_MASKED_FOLDERS = ("/proc/acpi", "/proc/asound", "/proc/scsi", FIRST)
_READ_ONLY = ("/proc/sys",)
"""Of Docker's list the one part that the container's user could write: settings of its own namespaces belong to
their first user. The others (bus, fs, irq, sysrq-trigger) belong to the host's root, who is never in there."""
_SYSTEM = ("/sys/devices/system/cpu", "/sys/devices/system/node")
"""All of /sys that is shown: processors and memory nodes, which thread pools (OpenBLAS, OpenMP, the JVM) count."""


class Host(NamedTuple):
    """What the kernel has of the optional parts."""

    masked: tuple[str, ...] = ()
    masked_folders: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    message_queues: bool = False
    cgroup_namespace: bool = False


class Fds(NamedTuple):
    """Descriptors that bwrap inherits."""

    filter: int | None = None
    status: int | None = None
    block: int | None = None
    terminal: int | None = None
    """The program of :mod:`.terminal`."""
    files: Mapping[str, int] = NOTHING
    """By path in the sandbox, as in ``Sandbox.files``."""
    sources: Mapping[str, int] = NOTHING
    """Of binds whose source is already open, by target: bwrap makes sure that what it mounts is what is open."""

    def all(self) -> list[int]:
        single = (self.filter, self.status, self.block, self.terminal)
        return [*(fd for fd in single if fd is not None), *self.files.values(), *self.sources.values()]


@functools.cache
def this_host() -> Host:
    def present(paths: Sequence[str], mode: int = 0) -> tuple[str, ...]:
        # Each mount costs a fifth of a millisecond (bwrap reads mountinfo again for each): what is closed to all but
        # root, as /proc/kmsg is, needs no cover.
        return tuple(path for path in paths if Path(path).exists() and Path(path).stat().st_mode & mode == mode)

    nodes = len(list(Path("/sys/devices/system/node").glob("node[0-9]*")))

    return Host(
        masked=present(_MASKED, 0o004),
        masked_folders=present(_MASKED_FOLDERS),
        read_only=present(_READ_ONLY),
        system=present(_SYSTEM if nodes > 1 else _SYSTEM[:1]),
        message_queues=Path("/proc/sys/fs/mqueue").is_dir(),
        cgroup_namespace=Path("/proc/self/ns/cgroup").exists(),
    )


def arguments(sandbox: Sandbox, *, bwrap: str, fds: Fds, host: Host | None = None) -> list[str]:
    """The whole argument vector. :func:`.process.spawn` passes :func:`options` through a descriptor instead, since
    every user of the host can read an argument vector, and the environment is in it."""
    return [bwrap, *options(sandbox, fds=fds, host=host), "--", *sandbox.argv]


def options(sandbox: Sandbox, *, fds: Fds, host: Host | None = None) -> list[str]:
    """All of bwrap's options, in the order in which it carries them out.

    Raises HostError where the layers' paths do not fit in one mount.
    """
    host = host or Host()
    return [
        *_namespaces(sandbox, host),
        *_root(sandbox),
        *_system(sandbox, host),
        *_mounts(sandbox, fds),
        *_life(sandbox, fds),
    ]


# fmt: off
def _namespaces(sandbox: Sandbox, host: Host) -> list[str]:
    named = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    if sandbox.network == "none":
        named.append("--unshare-net")
    if host.cgroup_namespace:
        named.append("--unshare-cgroup")
    # A build keeps its one user namespace: uid 0 in it owns the files that packages bring.
    if sandbox.filter == "container":
        named.append("--disable-userns")
    return [
        *named,
        "--cap-drop", "ALL",
        "--uid", str(sandbox.uid),
        "--gid", str(sandbox.gid),
        "--hostname", sandbox.hostname,
    ]


def _root(sandbox: Sandbox) -> list[str]:
    root = sandbox.root
    if not root.layers:
        if root.upper is None:
            raise HostError("a sandbox needs a layer or an upper folder for its root")
        return ["--bind", str(root.upper), "/"]
    result: list[str] = []
    if root.upper is not None:
        check_length((*root.layers, root.upper, root.work or root.upper))
        for layer in root.layers:
            result += ["--overlay-src", str(layer)]
        result += ["--overlay", str(root.upper), str(root.work), "/"]
    else:
        result += _read_only_overlay(root.layers, "/")
    for name, parts in root.read_only.items():
        result += _read_only_overlay(parts, name)
    return result


def _read_only_overlay(parts: Sequence[Path], target: str) -> list[str]:
    if len(parts) == 1:  # overlayfs wants two lower folders at least
        return ["--ro-bind", str(parts[0]), target]
    check_length(parts)
    result: list[str] = []
    for part in parts:
        result += ["--overlay-src", str(part)]
    return [*result, "--ro-overlay", target]


def _system(sandbox: Sandbox, host: Host) -> list[str]:
    result = ["--proc", "/proc"]
    if sandbox.filter == "forkserver":
        # The kernel lets a fork mount its own /proc only where one without covers is in sight (mount_too_revealing).
        host = host._replace(read_only=(), masked=(), masked_folders=())
    for path in host.read_only:
        result += ["--ro-bind", path, path]
    for path in host.masked:
        result += ["--dev-bind", "/dev/null", path]
    for path in host.masked_folders:
        if not (path == FIRST and sandbox.pid_1):  # else it is the command's own /proc/self
            result += ["--perms", "0555", "--tmpfs", path]
    result += ["--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108  in the sandbox
    if host.message_queues:
        result += ["--mqueue", "/dev/mqueue"]
    result += ["--perms", "0755", "--tmpfs", "/run", "--perms", "0755", "--tmpfs", "/sys"]
    for path in host.system:
        result += ["--ro-bind", path, path]
    return result


def _mounts(sandbox: Sandbox, fds: Fds) -> list[str]:
    result: list[str] = []
    for each in by_depth(sandbox):
        if isinstance(each, Tmpfs):
            size = ["--size", str(each.size)] if each.size is not None else []
            result += [*size, "--perms", f"{each.mode:04o}", "--tmpfs", each.target]
        elif isinstance(each, Volume):
            result += _volume(each)
        elif each.target in fds.sources:
            result += ["--bind-fd" if each.writable else "--ro-bind-fd", str(fds.sources[each.target]), each.target]
        else:
            kind = "--dev-bind" if each.device else "--bind" if each.writable else "--ro-bind"
            result += [f"{kind}-try" if each.optional else kind, str(each.source), each.target]
    for target, fd in fds.files.items():
        result += ["--perms", "0444", "--ro-bind-data", str(fd), target]
    if fds.terminal is not None:
        result += ["--perms", "0555", "--ro-bind-data", str(fds.terminal), terminal.PATH]
    return result


def _volume(volume: Volume) -> list[str]:
    if not volume.layers:
        return ["--bind", str(volume.upper), volume.target]
    check_length((*volume.layers, volume.upper, volume.work))
    result: list[str] = []
    for layer in volume.layers:
        result += ["--overlay-src", str(layer)]
    return [*result, "--overlay", str(volume.upper), str(volume.work), volume.target]


def _life(sandbox: Sandbox, fds: Fds) -> list[str]:
    result = ["--chdir", sandbox.cwd, "--clearenv"]
    for name, value in sandbox.env.items():
        result += ["--setenv", name, value]
    if sandbox.die_with_parent:
        result.append("--die-with-parent")
    if sandbox.new_session:
        result.append("--new-session")
    if sandbox.pid_1:
        result.append("--as-pid-1")
    if fds.filter is not None:
        result += ["--seccomp", str(fds.filter)]
    if fds.block is not None:
        result += ["--block-fd", str(fds.block)]
    if fds.status is not None:
        result += ["--json-status-fd", str(fds.status)]
    return result
# fmt: on
