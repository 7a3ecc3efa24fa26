"""Sandboxes as processes: start one, wait for it, end it.

Three processes matter: *bwrap's monitor* outside (``pid``), the sandbox's *first process* (``child_pid``, pid 1 of
its pid namespace: bwrap's reaper, or the command itself with ``pid_1``), and the *command* (``command_pid``). When
the first process ends the kernel kills all others, so SIGKILL to it leaves nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..errors import CancelledError, ContainerError, ContainersError, HostError
from . import idmap, launch
from .bwrap import Bwrap, Fds, find_bwrap, options, prepare, this_host
from .cgroup import Group
from .filters import filter_program
from .model import Sandbox

__all__ = ["Process", "run", "spawn", "tell_with_output"]

_PATIENCE = 30.0
"""Seconds that setting up may take before it counts as hung."""
_STEP = 0.0003
_OUTPUT_KEPT = 4096


class Process:
    """A running, or ended, sandbox. Methods may be called from any thread."""

    def __init__(
        self, popen: subprocess.Popen[bytes], status: int, *, pid_1: bool, error_output: _Tail
    ) -> None:
        self.pid = popen.pid
        self.child_pid = 0
        self.command_pid = 0
        self.started = 0
        """Start time of the first process in clock ticks since boot: with ``child_pid`` an identity that outlives
        reuse of the number (proc_pid_stat(5), field 22)."""
        self.popen = popen
        self._status = status
        self._pid_1 = pid_1
        self._error_output = error_output
        self._child_fd = -1
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit code once the sandbox has ended, else None; 128 + n where signal n ended it."""
        with self._lock:
            code = self.popen.poll()
        if code is None:
            return None
        told = self._documents().get("exit-code")
        return int(told) if told is not None else _as_shells_do(code)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; TimeoutError after *timeout* seconds."""
        with self._lock:
            pidfd = None if self.popen.poll() is not None else os.pidfd_open(self.pid)
        if pidfd is not None:
            try:
                if not _readable(pidfd, timeout):
                    raise TimeoutError(f"the sandbox did not end within {timeout} s")
            finally:
                os.close(pidfd)
        code = self.poll()
        while code is None:  # the pidfd is readable an instant before the status can be collected
            time.sleep(_STEP)
            code = self.poll()
        return code

    def signal(self, number: int) -> None:
        """Send a signal to the command; nothing happens when it has ended."""
        if number == signal.SIGKILL:
            self.kill()
            return
        target = self.command_pid or self.child_pid
        with contextlib.suppress(ProcessLookupError):
            if self.poll() is None and target:
                os.kill(target, number)

    def kill(self) -> None:
        """SIGKILL to every process of the sandbox; returns when all are gone."""
        if self._child_fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._child_fd, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                self.wait(5)
        with self._lock:
            if self.popen.poll() is None:
                self.popen.kill()
        self.wait()

    def close(self) -> None:
        """Give the descriptors back; the sandbox goes on."""
        for fd in (self._status, self._child_fd):
            if fd >= 0:
                os.close(fd)
        self._status = self._child_fd = -1

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self.close()

    def _documents(self) -> dict[str, Any]:
        """What bwrap (or the launcher) has said so far, all documents in one."""
        said: dict[str, Any] = {}
        if self._status < 0:
            return said
        for line in os.pread(self._status, 65536, 0).splitlines(keepends=True):
            if line.endswith(b"\n"):
                said.update(json.loads(line))
        return said

    def _await_start(self, release: Callable[[int], None] | None) -> None:
        """Return when the command runs, or has ended. Raises what kept it from starting."""
        deadline = time.monotonic() + _PATIENCE
        while self.popen.poll() is None:
            if not self.child_pid:
                self.child_pid = int(self._documents().get("child-pid", 0))
                if self.child_pid:
                    with contextlib.suppress(ProcessLookupError):
                        self._child_fd = os.pidfd_open(self.child_pid)
                        self.started = start_time(self.child_pid)
                    if release is not None:
                        release(self.child_pid)
            elif self._is_running():
                return
            if time.monotonic() > deadline:
                self.kill()
                raise HostError(
                    f"the sandbox was not set up within {_PATIENCE:.0f} s", hint="look at the host's load"
                )
            time.sleep(_STEP)
        self.check()

    def _is_running(self) -> bool:
        """Whether the command has replaced bwrap's program: its name in /proc changes with execve."""
        pid = self.child_pid if self._pid_1 else first_child(self.child_pid)
        if not pid:
            return False
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return False
        if name == "bwrap":
            return False
        self.command_pid = pid
        return True

    def check(self) -> None:
        """After the end: raise when it was bwrap, and not the command, that failed."""
        said = self._documents()
        if "launch-error" in said:
            raise HostError(said["launch-error"], hint=said.get("hint", ""))
        code = self.popen.returncode
        if "exit-code" in said or code is None or code < 0 or (code > 128 and self.child_pid):
            return
        raise _setup_error(self._error_output.read(), code)


def spawn(
    sandbox: Sandbox,
    *,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
    group: Group | None = None,
    pass_fds: Sequence[int] = (),
    terminal: bool = False,
    status: Path | None = None,
    bwrap: Bwrap | None = None,
) -> Process:
    """Start a sandbox; returns once its command runs.

    *stdin*, *stdout*, *stderr* are as for :class:`subprocess.Popen`. *pass_fds* reach the command under the same
    numbers. *terminal*: stdin is a pseudo-terminal that becomes the controlling one. *status*: a file for bwrap's
    JSON documents, for an owner that may end before the sandbox does; the exit code can be read from it later.
    *bwrap*: what :func:`find_bwrap` found in another process.

    It gets a session of its own: a Ctrl-C at the caller's terminal does not reach it.

    Raises HostError when the host can't set it up and ContainerError when the command can't be executed; nothing
    is left running then. With ``die_with_parent`` call it from a thread that stays.
    """
    bwrap = bwrap or find_bwrap()
    sandbox = prepare(sandbox)
    program = str(bwrap.path)
    clones: tuple[idmap.Clone, ...] = ()
    as_root = idmap.is_needed()
    if as_root:
        stage = idmap.stage_sandbox(sandbox, bwrap.path)
        sandbox, program, clones = stage.sandbox, stage.bwrap, stage.clones
    with ExitStack() as stack:
        files = {target: _memory_file(stack, "file", content) for target, content in sandbox.files.items()}
        status_fd = _status_file(status)
        block, release = _pids_by_rlimit(stack, group)
        fds = Fds(_memory_file(stack, "seccomp", filter_program(sandbox.filter)), status_fd, block, files)
        given = options(sandbox, fds=fds, host=this_host())
        args = _memory_file(stack, "args", b"\0".join(map(os.fsencode, given)) + b"\0")
        argv = [program, "--args", str(args), "--", *sandbox.argv]
        inherited = [
            *pass_fds,
            fds.filter,
            status_fd,
            args,
            *files.values(),
            *([block] if block is not None else []),
        ]
        joins = group.joins if group else ()
        limits = _rlimits(sandbox, group)
        if as_root or terminal:
            orders = launch.pack(
                argv,
                status=status_fd,
                groups=[str(path) for path in joins],
                rlimits=limits,
                terminal=terminal,
                identity=idmap.UNPRIVILEGED_ID if as_root else None,
                stage=idmap.stage_folder(),
                clones=clones,
                parent=os.getpid() if sandbox.die_with_parent else 0,
            )
            orders_fd = _memory_file(stack, "orders", orders)
            inherited.append(orders_fd)
            argv = launch.command(orders_fd)
        else:
            argv = [*_shell_prefix(joins, limits), *argv]
        if group and group.prefix:
            argv = [*group.prefix, *argv]
        try:
            popen = subprocess.Popen(
                argv, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=[fd for fd in inherited if fd is not None],
                start_new_session=not terminal, cwd="/", env=_environment(group),
            )  # fmt: skip
        except OSError as error:
            os.close(status_fd)
            raise HostError(f"cannot start {argv[0]}: {error.strerror}") from error
        process = Process(popen, status_fd, pid_1=sandbox.pid_1, error_output=_Tail(stderr, stdout))
        try:
            process._await_start(release)
        except BaseException:
            process.kill()
            raise
    return process


def run(
    sandbox: Sandbox,
    *,
    on_output: Callable[[bytes], None],
    timeout: float | None = None,
    cancel: threading.Event | None = None,
    group: Group | None = None,
    stdin: int | None = subprocess.DEVNULL,
) -> int:
    """Run a sandbox to its end; its output, standard and error merged, goes to *on_output* as it comes.

    Returns the exit code. Raises ContainerError after *timeout* seconds, CancelledError soon after *cancel* is set,
    and what :func:`spawn` raises. Nothing is left running in any case.
    """
    read, write = os.pipe()
    kept = bytearray()

    def deliver(data: bytes) -> None:
        kept.extend(data)
        del kept[:-_OUTPUT_KEPT]
        on_output(data)

    with open(read, "rb", buffering=0) as output:
        try:
            process = spawn(sandbox, stdin=stdin, stdout=write, stderr=write, group=group)
        except ContainersError as error:
            os.close(write)
            text = os.read(read, 65536).decode(errors="replace") if _readable(read, 0) else ""
            raise tell_with_output(error, text) from error
        except BaseException:
            os.close(write)
            raise
        os.close(write)
        with process:
            deadline = None if timeout is None else time.monotonic() + timeout
            while True:
                if cancel is not None and cancel.is_set():
                    raise CancelledError(
                        f"{sandbox.argv[0]} was stopped", output=kept.decode(errors="replace")
                    )
                if deadline is not None and time.monotonic() > deadline:
                    raise ContainerError(
                        f"{sandbox.argv[0]} did not end within {timeout:g} s",
                        output=kept.decode(errors="replace"),
                        hint="give it more time, or look at its output for what it waits for",
                    )
                if not _readable(read, 0.1):
                    continue
                data = output.read(65536)
                if not data:
                    break
                deliver(data)
            code = process.wait()
            try:
                process.check()
            except ContainersError as error:
                raise tell_with_output(error, kept.decode(errors="replace")) from error
            return code


def start_time(pid: int) -> int:
    """Clock ticks since boot at which a process started; 0: there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])


def first_child(pid: int) -> int:
    """The pid of a process's first child; 0: none."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        # No CONFIG_PROC_CHILDREN, or the process is gone.
        return next((each for each in _pids() if _parent(each) == pid), 0)
    return int(listed[0]) if listed else 0


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _as_shells_do(code: int) -> int:
    return 128 - code if code < 0 else code


def _readable(fd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def _memory_file(stack: ExitStack, name: str, content: bytes) -> int:
    fd = os.memfd_create(f"jupyter-containers-{name}", 0)
    stack.callback(os.close, fd)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _status_file(path: Path | None) -> int:
    if path is None:
        return os.memfd_create("jupyter-containers-status", 0)
    # Append: bwrap's monitor and the launcher write to one description, and a reader may seek.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)


def _rlimits(sandbox: Sandbox, group: Group | None) -> list[tuple[int, int]]:
    limits = sandbox.limits
    wanted = [(resource.RLIMIT_NOFILE, limits.open_files), (resource.RLIMIT_FSIZE, limits.file_size)]
    given = [(which, value) for which, value in wanted if value is not None]
    if group is not None and group.memory_by_rlimit is not None:
        given.append((resource.RLIMIT_DATA, group.memory_by_rlimit))
    return given


def rlimits_of(group: Group | None) -> list[tuple[int, int]]:
    """All rlimits of a running sandbox, for a process that joins it."""
    if group is None:
        return []
    limits = group.limits
    wanted = [
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_DATA, group.memory_by_rlimit),
        (resource.RLIMIT_NPROC, group.pids_by_rlimit),
    ]
    return [(which, value) for which, value in wanted if value is not None]


_ULIMIT = {
    resource.RLIMIT_NOFILE: ("-n", 1),
    resource.RLIMIT_FSIZE: ("-f", 512),
    resource.RLIMIT_DATA: ("-d", 1024),
}
"""Options of the shell's ulimit and the size of their unit in bytes (POSIX; dash and bash as sh agree)."""


def _shell_prefix(joins: Sequence[Path], limits: Sequence[tuple[int, int]]) -> list[str]:
    """A shell that joins the groups and sets the limits before it becomes bwrap, so that they hold from its first
    instruction; no preexec_fn, which is unsafe with threads."""
    steps = [f"ulimit {_ULIMIT[which][0]} {value // _ULIMIT[which][1]}" for which, value in limits]
    steps += [f'echo 0 > "${index}"' for index in range(1, len(joins) + 1)]
    if not steps:
        return []
    steps.append(f"shift {len(joins)}")
    return ["/bin/sh", "-ec", "; ".join(steps) + '; exec "$@"', "sh", *map(str, joins)]


def _environment(group: Group | None) -> dict[str, str]:
    """bwrap needs none, and clears its own; systemd-run needs the way to its bus."""
    if group is None or not group.prefix:
        return {}
    return {
        name: os.environ[name]
        for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "PATH")
        if name in os.environ
    }


def _pids_by_rlimit(stack: ExitStack, group: Group | None) -> tuple[int | None, Callable[[int], None] | None]:
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


class _Tail:
    """The part of a log file that this start wrote, to tell why it failed."""

    def __init__(self, *fds: int | None) -> None:
        self._fd = -1
        for fd in fds:
            if isinstance(fd, int) and fd >= 0 and stat.S_ISREG(os.fstat(fd).st_mode):
                self._fd = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
                self._offset = os.fstat(fd).st_size
                break

    def read(self) -> str:
        if self._fd < 0:
            return ""
        return os.pread(self._fd, 65536, self._offset).decode(errors="replace")

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _setup_error(text: str, code: int) -> ContainersError:
    cause = "; ".join(
        line.removeprefix("bwrap: ") for line in text.splitlines() if line.startswith("bwrap: ")
    )
    if "execvp" in cause:
        command = cause.partition("execvp ")[2]
        missing = "No such file" in cause
        return ContainerError(
            f"cannot execute {command}",
            output=text,
            exit_code=127 if missing else 126,
            hint="look at the command's path and at what the image has" if missing else "",
        )
    if "Can't chdir" in cause:
        return ContainerError(
            cause, output=text, exit_code=126, hint="choose a working directory that the image has"
        )
    return HostError(
        f"the sandbox could not be set up: {cause or f'bwrap ended with status {code}'}",
        hint="`jupyter containers doctor` tells what this host can do",
    )


def tell_with_output(error: ContainersError, text: str) -> ContainersError:
    """The error of a :func:`spawn`, told with what bwrap wrote to the output; a caller whose output is a pipe has that."""
    if "bwrap: " not in text or not isinstance(error, HostError | ContainerError):
        return error
    return _setup_error(text, getattr(error, "exit_code", None) or 1)
