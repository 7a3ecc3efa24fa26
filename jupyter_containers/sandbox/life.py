"""A sandbox's processes: watched, signalled, ended, and their end explained."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ..errors import ContainerError, ContainersError, HostError
from . import terminal

__all__ = ["Child", "Process", "Running", "Tail", "first_child", "readable", "setup_error", "start_time"]

_PATIENCE = 30.0
"""Seconds that setting up may take before it counts as hung."""
_STEP = 0.0002
_NOT_YET = frozenset({"bwrap", terminal.NAME})
"""Names of what runs before the command does."""


class Child(Protocol):
    """A child process of this one: :class:`subprocess.Popen` or :class:`.launcher.Launched`."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...


class Running(Protocol):
    """A running, or ended, sandbox, whatever it was started by. Methods may be called from any thread."""

    pid: int
    """The outer process: it lives as long as the sandbox does."""
    child_pid: int
    """Its first process, in host numbering as all are."""
    command_pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def signal(self, number: int) -> None: ...

    def kill(self) -> None: ...

    def close(self) -> None: ...


class Process:
    """A sandbox that bwrap has made: a :class:`Running`."""

    def __init__(self, child: Child, status: int, name: str, *, pid_1: bool, error_output: Tail) -> None:
        self.pid = child.pid
        self.child_pid = 0
        self.command_pid = 0
        self.started = 0
        """Start time of the first process in clock ticks since boot: with ``child_pid`` an identity that outlives
        reuse of the number (proc_pid_stat(5), field 22)."""
        self._child = child
        self._name = name
        self._status = status
        self._pid_1 = pid_1
        self._error_output = error_output
        self._child_fd = -1
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit code once the sandbox has ended, else None; 128 + n where signal n ended it."""
        with self._lock:
            code = self._child.poll()
        if code is None:
            return None
        told = self._documents().get("exit-code")
        return int(told) if told is not None else _as_shells_do(code)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; TimeoutError after *timeout* seconds."""
        with self._lock:
            pidfd = None if self._child.poll() is not None else os.pidfd_open(self.pid)
        if pidfd is not None:
            try:
                if not readable(pidfd, timeout):
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
        if self.poll() is not None or not self.command_pid:
            return
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(self.command_pid)
            try:
                # The number may be another's by now; the descriptor is not, once its parent has been looked at.
                if self.command_pid == self.child_pid or _parent(self.command_pid) == self.child_pid:
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)

    def kill(self) -> None:
        """SIGKILL to every process of the sandbox; returns when all are gone."""
        if self._child_fd < 0 and self._child.poll() is None:
            self._learn_child()  # ended while it was being set up
        with self._lock:
            known = self._child_fd >= 0
            if known:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._child_fd, signal.SIGKILL)
        if known:
            with contextlib.suppress(TimeoutError):
                self.wait(5)
        with self._lock:
            if self._child.poll() is None:
                self._child.kill()
        self.wait()

    def close(self) -> None:
        """Give the descriptors back; the sandbox goes on."""
        with self._lock:  # a number that is closed may be another's at once, and others may be about to use it
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
        with self._lock:
            text = os.pread(self._status, 65536, 0) if self._status >= 0 else b""
        for line in text.splitlines(keepends=True):
            if line.endswith(b"\n"):
                said.update(json.loads(line))
        return said

    def await_start(self, release: Callable[[int], None] | None) -> None:
        """Return when the command runs, or has ended. Raises what kept it from starting."""
        deadline = time.monotonic() + _PATIENCE
        while self._child.poll() is None:
            if not self.child_pid:
                if (child := self._learn_child()) and release is not None:
                    release(child)
            elif self._is_running():
                return
            if time.monotonic() > deadline:
                self.kill()
                raise HostError(f"the sandbox was not set up within {_PATIENCE:.0f} s", hint="look at the host's load")
            time.sleep(_STEP)
        if not self.child_pid:
            self._learn_child()  # it has ended before it was looked at
        self.check()

    def _learn_child(self) -> int:
        self.child_pid = int(self._documents().get("child-pid", 0))
        if self.child_pid:
            with contextlib.suppress(ProcessLookupError):
                self._child_fd = os.pidfd_open(self.child_pid)
                self.started = start_time(self.child_pid)
        return self.child_pid

    def _is_running(self) -> bool:
        """Whether the command has replaced bwrap's program: its name in /proc changes with execve."""
        pid = self.child_pid if self._pid_1 else first_child(self.child_pid)
        if not pid:
            return False
        try:
            name = _proc(pid, "comm").strip()
        except OSError:
            return False
        if name in _NOT_YET:
            return False
        self.command_pid = pid
        return True

    def check(self) -> None:
        """After the end: raise when it was bwrap, and not the command, that failed."""
        said = self._documents()
        if "launch-error" in said:
            raise HostError(said["launch-error"], hint=said.get("hint", ""))
        code = self._child.returncode
        if said.get("exit-code") == terminal.NOT_EXECUTED and not self.command_pid:
            raise _not_executed(self._name, missing=True)
        if "exit-code" in said or code is None or code < 0 or (code > 128 and self.child_pid):
            return
        raise setup_error(self._error_output.read(), code)


class Tail:
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


def _not_executed(command: str, *, missing: bool) -> ContainerError:
    return ContainerError(
        f"cannot execute {command}",
        exit_code=127 if missing else 126,
        hint="look at the command's path and at what the image has" if missing else "",
    )


def setup_error(text: str, code: int) -> ContainersError:
    cause = "; ".join(line.removeprefix("bwrap: ") for line in text.splitlines() if line.startswith("bwrap: "))
    if "execvp" in cause:
        command = cause.partition("execvp ")[2]
        failure = _not_executed(command, missing="No such file" in cause)
        failure.output = text
        return failure
    if "Can't chdir" in cause:
        return ContainerError(cause, output=text, exit_code=126, hint="choose a working directory that the image has")
    return HostError(
        f"the sandbox could not be set up: {cause or f'bwrap ended with status {code}'}",
        hint="`jupyter containers doctor` tells what this host can do",
    )


def start_time(pid: int) -> int:
    """Clock ticks since boot at which a process started; 0: there is none."""
    try:
        text = _proc(pid, "stat")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])


def first_child(pid: int) -> int:
    """The pid of a process's first child; 0: none."""
    try:
        listed = _proc(pid, f"task/{pid}/children").split()
    except OSError:
        # No CONFIG_PROC_CHILDREN, or the process is gone.
        return next((each for each in _pids() if _parent(each) == pid), 0)
    return int(listed[0]) if listed else 0


def _proc(pid: int, name: str) -> str:
    # Plain system calls: a start looks here every fifth of a millisecond.
    handle = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, 4096).decode(errors="replace")
    finally:
        os.close(handle)


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _parent(pid: int) -> int:
    try:
        return int(_proc(pid, "stat").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _as_shells_do(code: int) -> int:
    return 128 - code if code < 0 else code


def readable(fd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(None if timeout is None else timeout * 1000))
