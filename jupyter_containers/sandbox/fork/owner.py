"""The owner's side of forks: starts fork servers, and sandboxes that are forks of them.

The result is what :func:`..process.spawn` gives, so that a container need not know which it is.
"""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ...errors import ContainersError, HostError
from .. import idmap, launcher, orders
from ..bwrap import this_host
from ..cgroup import Group
from ..filters import filter_program
from ..handover import memory_file, rlimits, standard_streams
from ..life import Process, readable
from ..model import Bind, Sandbox
from ..passing import Socket, pair, receive, send
from ..preparation import prepare
from ..process import spawn
from .plan import make_plan
from .server import READY, Orders, Wish

__all__ = ["ForkServer", "Forked"]

PACKAGE = "/run/jupyter-containers"
"""Where this package lies for the server; forks do not have it."""
_CODE = (
    "import sys; sys.path.append(sys.argv[1]); from jupyter_containers.sandbox.fork.server import serve; "
    "from importlib import import_module; it = import_module(sys.argv[3]); del sys.path[-1]; "
    "serve(int(sys.argv[2]), lambda: it.prepare(sys.argv[4:]), it.become)"
)
_PATIENCE = 60.0
"""Seconds that a server may take to be ready, which is what it imports, and a fork to be set up."""
_SO_PASSCRED, _SCM_CREDENTIALS = 16, 2
_SOL_SOCKET = 1


class ForkServer:
    """A fork server that runs, and the way to it. Thread-safe: one fork is set up at a time."""

    def __init__(self, process: Process, end: Socket) -> None:
        self.process = process
        self._end = end
        self._lock = threading.Lock()
        self._ready = False

    @classmethod
    def spawn(
        cls, sandbox: Sandbox, python: str, module: str, words: Sequence[str] = (), *, stdout: int, stderr: int,
        group: Group | None = None, status: Path | None = None,
    ) -> ForkServer:  # fmt: skip
        """Start one in *sandbox*, whose argv is not looked at.

        *python*: the interpreter's path in it. *module* of this package has ``prepare(words)`` and ``become(argv)``.
        It is not ready yet: see :meth:`await_ready`. Errors are those of :func:`..process.spawn`.
        """
        ours, theirs = pair()
        handle = theirs.fileno()
        package = Path(__file__).resolve().parents[2]
        bind = Bind(package, f"{PACKAGE}/{package.name}", resolved=True)
        server = sandbox._replace(
            argv=(python, "-c", _CODE, PACKAGE, str(handle), module, *words),
            binds=(*sandbox.binds, bind),
            filter="forkserver",
            # Forks are number 2, each in a namespace of its own. OpenSSL and others know by their number that they have
            # been forked: with the server's they would go on with its random numbers, all with the same.
            pid_1=True,
        )
        try:
            process = spawn(
                server, stdout=stdout, stderr=stderr, group=group, status=status, pass_fds=[handle],
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours)

    def await_ready(self, timeout: float = _PATIENCE) -> None:
        """Wait until it can fork; HostError with the reason where it can't."""
        with self._lock:
            if self._ready:
                return
            if not readable(self._end.fileno(), timeout):
                raise HostError(f"the fork server was not ready within {timeout:.0f} s")
            try:
                said, _ = receive(self._end)
            except (EOFError, OSError) as error:
                raise HostError("the fork server has ended before it was ready") from error
            if said != READY:
                raise HostError(f"the fork server could not get ready: {said[1:].decode(errors='replace')}")
            self._ready = True

    def fork(
        self, sandbox: Sandbox, *, stdout: int, stderr: int, group: Group | None = None, status: Path | None = None
    ) -> Forked:
        """A sandbox whose command is a fork of the server; its standard input is ``/dev/null``.

        Errors are those of :func:`..process.spawn`; also HostError where the server is gone.
        """
        self.await_ready()
        sandbox = prepare(sandbox)
        with ExitStack() as stack:
            ours, theirs = pair()
            stack.callback(theirs.close)
            try:
                ours.setsockopt(_SOL_SOCKET, _SO_PASSCRED, 1)
                self._ask(sandbox, theirs, group, stack)
                theirs.close()
                steps, mounts = _make_mounts(sandbox, stack)
                content: Orders = {
                    "steps": steps,
                    "hostname": sandbox.hostname,
                    "argv": list(sandbox.argv),
                    "env": dict(sandbox.env),
                    "cwd": sandbox.cwd,
                    "rlimits": rlimits(sandbox.limits, group, pids=True),
                    "filter": filter_program("container"),
                }
                packed = memory_file(stack, "fork", marshal.dumps(content, 4))  # type: ignore[arg-type]
                streams = standard_streams(stack, (subprocess.DEVNULL, stdout, stderr))[1:]
                return Forked.begin(ours, [packed, *streams, *mounts], group, status)
            except BaseException:
                ours.close()
                raise

    def _ask(self, sandbox: Sandbox, end: Socket, group: Group | None, stack: ExitStack) -> None:
        """Let it begin: what it needs until it has namespaces."""
        wish: Wish = {"uid": sandbox.uid, "gid": sandbox.gid, "network": sandbox.network == "none"}
        joins = [os.open(path, os.O_WRONLY | os.O_CLOEXEC) for path in group.joins] if group else []
        for fd in joins:
            stack.callback(os.close, fd)
        with self._lock:
            try:
                send(self._end, marshal.dumps(wish, 4), [end.fileno(), *joins])  # type: ignore[arg-type]
            except OSError as error:
                raise HostError("the fork server has ended") from error

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """Its end, and with it the end of what it has forked."""
        self._end.close()
        self.process.kill()


class Forked:
    """A sandbox whose command is a fork: a :class:`..life.Running`."""

    def __init__(self, first: int, channel: Socket) -> None:
        self.pid = self.child_pid = first
        self.command_pid = 0
        self._channel = channel
        self._code: int | None = None
        self._lock = threading.Lock()
        try:
            self._handle = os.pidfd_open(first)
        except ProcessLookupError:
            self._handle = -1

    @classmethod
    def begin(cls, channel: Socket, orders: Sequence[int], group: Group | None, status: Path | None) -> Forked:
        """Wait for its processes, and give the first its *orders* when it is in *group*, before there is another."""
        deadline = time.monotonic() + _PATIENCE
        first = _hear(channel, b"1", deadline)
        process = cls(first, channel)
        try:
            _join(group, first)
            try:
                send(channel, b"", orders)
            except OSError as error:
                raise HostError("the fork has ended before it was set up") from error
            if status is not None:
                status.write_text(f'{{"child-pid": {first}}}\n')
            process.command_pid = _hear(channel, b"2", deadline)
        except BaseException:
            process.kill()
            process.close()
            raise
        return process

    def poll(self) -> int | None:
        with self._lock:
            return self._look()

    def _look(self) -> int | None:
        if self._code is None and (self._handle < 0 or readable(self._handle, 0)):
            self._code = self._last_word()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        with self._lock:  # of its own: it may be closed while it is waited for
            handle = os.dup(self._handle) if self._handle >= 0 else -1
        if handle >= 0:
            try:
                if not readable(handle, timeout):
                    raise TimeoutError(f"the sandbox did not end within {timeout} s")
            finally:
                os.close(handle)
        code = self.poll()
        assert code is not None
        return code

    def signal(self, number: int) -> None:
        """Send a signal to the command; nothing happens when it has ended."""
        if number == signal.SIGKILL:
            self.kill()
        elif self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.command_pid, number)

    def kill(self) -> None:
        """SIGKILL to the first process, and with it to all; returns when it is gone."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._handle >= 0:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        self.wait()

    def close(self) -> None:
        """Give the descriptors back; what is asked afterwards is answered as of an ended one."""
        with self._lock:
            self._look()
            self._channel.close()
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1

    def _last_word(self) -> int:
        """The exit code, from the status that the first process told; 137 where it was killed before it could."""
        with contextlib.suppress(OSError):
            while self._channel.fileno() >= 0 and readable(self._channel.fileno(), 0):
                said = self._channel.recv(4096)
                if said.startswith(b"="):
                    code = os.waitstatus_to_exitcode(int.from_bytes(said[1:5], "little"))
                    return 128 - code if code < 0 else code
                if not said:
                    break
        return 128 + signal.SIGKILL


def _make_mounts(sandbox: Sandbox, stack: ExitStack) -> tuple[list[tuple[object, ...]], list[int]]:
    """The steps of a fork, and its mounts as descriptors, made by a child of the launcher."""
    clones: tuple[idmap.Clone, ...] = ()
    identity = staged = None
    if idmap.is_needed():
        staged, _, clones = idmap.stage_sandbox(sandbox, Path("/"))
        identity = idmap.UNPRIVILEGED_ID
    plan = make_plan(sandbox, this_host(), staged=staged)
    ours, theirs = pair()
    stack.callback(ours.close)
    packed = orders.pack_mounts(plan.sources, identity=identity, stage=idmap.stage_folder(), clones=clones)
    try:
        child = launcher.mount(memory_file(stack, "mounts", packed), theirs.fileno())
    finally:
        theirs.close()
    try:
        said, fds = receive(ours)
    except (EOFError, OSError) as error:
        raise HostError("the mounts of a fork could not be made: who makes them has ended") from error
    finally:
        child.wait()
    for fd in fds:
        stack.callback(os.close, fd)
    if said:
        raise _refusal(said)
    return list(plan.steps), fds


def _refusal(said: bytes) -> ContainersError:
    message, _, hint = said.decode(errors="replace").partition("\0")
    return HostError(message, hint=hint or "`jupyter containers doctor` tells what this host can do")


def _hear(channel: Socket, expected: bytes, deadline: float) -> int:
    """The pid, as this host knows it, of who sends the *expected* message. HostError for another, and none."""
    if not readable(channel.fileno(), max(0.0, deadline - time.monotonic())):
        raise HostError(f"the fork was not set up within {_PATIENCE:.0f} s", hint="look at the host's load")
    said, rights, _, _ = channel.recvmsg(4096, 64)
    if said != expected:
        cause = said[1:].decode(errors="replace") if said.startswith(b"!") else "it has ended"
        raise HostError(f"the fork could not be set up: {cause}")
    for level, kind, content in rights:
        if (level, kind) == (_SOL_SOCKET, _SCM_CREDENTIALS):
            return int(struct.unpack_from("i", content)[0])
    raise HostError("the kernel does not tell who sent a message", hint="start it without `warm`")


def _join(group: Group | None, pid: int) -> None:
    """See to it that *pid* is in *group*: most often it has joined by itself."""
    for path in group.joins if group else ():
        if str(pid) in path.read_text().split():
            continue
        try:
            path.write_text(str(pid))
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise HostError(f"{path}: the fork can't join its control group: {error.strerror}") from error
