"""What a child process inherits: memory files, limits, the way into its control groups."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from .cgroup import Group
from .model import Limits

__all__ = [
    "environment",
    "mark_link",
    "mark_of",
    "memory_file",
    "open_files",
    "pids_by_rlimit",
    "rlimits",
    "shell_prefix",
    "standard_streams",
    "status_file",
]


_MEMORY_FILE = "jupyter-containers-"


def mark_of(status: Path | None) -> str:
    """The name of a memory file that every process of a start has open until its command runs: what bwrap has forked
    and no more than that closes ``status`` early, and would be known to nobody if its parent ended then."""
    return f"seccomp-{status.parent.name}" if status is not None else "seccomp"


def mark_link(status: Path) -> str:
    """What the link of that file in /proc/PID/fd says (memfd_create(2))."""
    return f"/memfd:{_MEMORY_FILE}{mark_of(status)} (deleted)"


def memory_file(stack: ExitStack, name: str, content: bytes) -> int:
    fd = os.memfd_create(f"{_MEMORY_FILE}{name}")
    stack.callback(os.close, fd)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def standard_streams(stack: ExitStack, given: Sequence[int | None]) -> list[int]:
    """Descriptors for standard input, output and error where *given* is as :class:`subprocess.Popen` takes it."""
    streams: list[int] = []
    for number, stream in enumerate(given):
        if stream is None:
            streams.append(number)
        elif stream == subprocess.DEVNULL:
            streams.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
            stack.callback(os.close, streams[-1])
        elif stream == subprocess.STDOUT:
            streams.append(streams[1])
        elif stream < 0:
            raise ValueError("a sandbox's streams are descriptors: make the pipe yourself")
        else:
            streams.append(stream)
    return streams


def open_files() -> tuple[int, int]:
    """This process's own limit of descriptors, soft and hard."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def status_file(path: Path | None) -> int:
    if path is None:
        return os.memfd_create("jupyter-containers-status")
    # Append: bwrap's monitor and the launcher write to one description, and a reader may seek.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)


def rlimits(limits: Limits, group: Group | None, *, pids: bool) -> list[tuple[int, int]]:
    """The rlimits of a sandbox with *limits*. *pids*: also that of processes, for one that is in its user namespace
    already; for another see :func:`pids_by_rlimit`."""
    wanted = [
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_DATA, group.memory_by_rlimit if group else None),
        (resource.RLIMIT_NPROC, group.pids_by_rlimit if group and pids else None),
    ]
    return [(which, value) for which, value in wanted if value is not None]


_ULIMIT = {
    resource.RLIMIT_NOFILE: ("-n", 1),
    resource.RLIMIT_FSIZE: ("-f", 512),
    resource.RLIMIT_DATA: ("-d", 1024),
}
"""Options of the shell's ulimit and the size of their unit in bytes (POSIX; dash and bash as sh agree)."""


def shell_prefix(joins: Sequence[Path], limits: Sequence[tuple[int, int]]) -> list[str]:
    """A shell that joins the groups and sets the limits before it becomes bwrap, so that they hold from its first
    instruction; no preexec_fn, which is unsafe with threads."""
    steps = [f"ulimit {_ULIMIT[which][0]} {value // _ULIMIT[which][1]}" for which, value in limits]
    steps += [f'echo 0 > "${index}"' for index in range(1, len(joins) + 1)]
    if not steps:
        return []
    steps.append(f"shift {len(joins)}")
    return ["/bin/sh", "-ec", "; ".join(steps) + '; exec "$@"', "sh", *map(str, joins)]


def environment(group: Group | None) -> dict[str, str]:
    """bwrap needs none, and clears its own; systemd-run needs the way to its bus."""
    if group is None or not group.prefix:
        return {}
    from .delegation import manager_environment  # late: seldom needed

    return manager_environment()


def pids_by_rlimit(stack: ExitStack, group: Group | None) -> tuple[int | None, Callable[[int], None] | None]:
    """RLIMIT_NPROC counts per user *and user namespace* (Linux 5.14, ucounts): set on the first process, after its
    namespace was made and before the command starts, it counts this sandbox's processes and no others."""
    if group is None or group.pids_by_rlimit is None:
        return None, None
    limit = group.pids_by_rlimit
    read, write = os.pipe()
    stack.callback(os.close, read)
    stack.callback(os.close, write)

    def release(pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_NPROC, (limit, limit))
        os.write(write, b"x")

    return read, release
