"""The launcher: a small process that waits, with an interpreter that has started, for sandboxes to launch.

As root a sandbox can't be started by bwrap at once (:mod:`.launch`), and an interpreter that starts for each takes
longer than all else. So each process that starts sandboxes as root has one launcher, started with the first of them, or
:func:`ahead`. It ends with this process. What goes on in it is in :mod:`.service`.

What it launches is this process's child, not its own (clone3(2), CLONE_PARENT), and ends with this process where that
is wanted: nothing depends on the launcher once a sandbox runs. The kernel takes the *thread* that started the launcher
for the parent of all (prctl(2), PR_SET_PDEATHSIG), so that is one that stays.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import threading
from collections.abc import Callable, Sequence, Set
from pathlib import Path

from ..errors import HostError
from . import idmap, orders
from .passing import MOUNTS, NEXT, Socket, end_sending, is_waiting, pair, receive, send, taken

__all__ = ["Launched", "ahead", "launch", "mount", "stop"]


class Launched:
    """A child process, with what :class:`subprocess.Popen` has of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, -n where signal n ended it; None while it runs."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = 0  # another has waited for it; as subprocess does
            else:
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, 9)

    def wait(self) -> None:
        with contextlib.suppress(ChildProcessError):
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class _Launcher:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Socket | None = None
        self._spare: tuple[int, Socket] | None = None
        """What it has forked ahead: a child of this process, by its pid, and where it waits for orders."""
        self._known: set[object] = set()

    def start(self) -> None:
        with self._lock:
            if self._end is None:
                self._start()

    def launch(self, fds: Sequence[int], message: bytes = b"", *, shifts: Set[object] | None = None) -> int:
        """The pid of the child that carries out the orders in the first of *fds*. Raises OSError.

        *shifts*: what they map, where what was forked ahead may do it.
        """
        with self._lock:
            if self._end is None:
                self._start()
            if shifts is not None:
                # What the launcher has not mapped yet it does itself, so that those that come have the map.
                if shifts <= self._known and (pid := self._use_spare(fds)):
                    return pid
                self._known |= shifts
            try:
                self._tell(fds, message)
            except ConnectionError:  # somebody has killed it
                self._start()
                self._tell(fds, message)
            return self._hear()

    def stop(self) -> None:
        """Let it end, and wait for that; sandboxes go on."""
        with self._lock:
            self._clear_away()

    def forget(self) -> None:
        """In a forked child: the launcher is its parent's."""
        self._lock = threading.Lock()
        if self._end is not None:
            self._end.close()
        if self._spare is not None:
            self._spare[1].close()
        self._process = self._end = self._spare = None

    def _use_spare(self, fds: Sequence[int]) -> int:
        """Give the orders to what was forked ahead; 0 where nothing was, or somebody has killed it."""
        assert self._end is not None
        with contextlib.suppress(ConnectionError, EOFError):  # told when it is asked for something
            while self._spare is None and is_waiting(self._end):
                self._answer(one=True)
        if self._spare is None:
            return 0
        pid, end = self._spare
        try:
            send(end, b"", fds)
        except ConnectionError:
            self._drop_spare()
            return 0
        except BaseException:  # Ctrl-C, perhaps after it was sent
            self._drop_spare()
            raise
        finally:
            self._spare = None
            end.close()
            with contextlib.suppress(ConnectionError):
                self._tell((), NEXT)
        return pid

    def _drop_spare(self) -> None:
        if self._spare is not None:
            pid, end = self._spare
            self._spare = None
            end.close()
            spare = Launched(pid)
            spare.kill()
            spare.wait()

    def _clear_away(self) -> None:
        """No process of a launcher is left."""
        if self._end is not None:
            end_sending(self._end)
            with contextlib.suppress(ConnectionError, EOFError):
                while True:
                    self._answer(one=True)  # of its spare, perhaps
            self._end.close()
            self._end = None
        if self._process is not None:
            self._process.wait()
            self._process = None
        self._drop_spare()
        self._known.clear()

    def _start(self) -> None:
        self._clear_away()
        ours, theirs = pair()
        handle = theirs.fileno()
        command = orders.service(handle, os.getpid(), idmap.stage_folder() if idmap.is_needed() else "")

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[handle], start_new_session=True,
                cwd="/", env={},
            )  # fmt: skip

        try:
            self._process = _in_lasting_thread(start)
        finally:
            theirs.close()
        self._end = ours

    def _tell(self, fds: Sequence[int], message: bytes) -> None:
        assert self._end is not None
        send(self._end, message, fds)

    def _hear(self) -> int:
        try:
            number = self._answer()
        except (ConnectionError, EOFError):
            self._clear_away()
            raise InterruptedError(errno.EINTR, "the launcher was killed") from None
        except BaseException:  # Ctrl-C: the answer comes all the same, and nobody would wait for that child
            if (number := self._answer()) > 0:
                Launched(number).kill()
            raise
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return number

    def _answer(self, *, one: bool = False) -> int:
        """The next answer; with *one* the next message is read, and 0 where it is none."""
        assert self._end is not None
        while True:
            message, fds = receive(self._end)
            number = int(message[1:])
            if message.startswith(b"="):
                return number
            self._drop_spare()
            self._spare = number, taken(fds[0])
            if one:
                return 0


def _in_lasting_thread(function: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Call *function* in a thread that ends with the process only."""
    if threading.current_thread() is threading.main_thread():
        return function()
    results: list[subprocess.Popen[bytes] | BaseException] = []
    done, never = threading.Event(), threading.Event()

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)
        done.set()
        never.wait()

    threading.Thread(target=work, name="sandbox-launcher", daemon=True).start()
    done.wait()
    result = results[0]
    if isinstance(result, BaseException):
        raise result
    return result


_launcher = _Launcher()
os.register_at_fork(after_in_child=lambda: _launcher.forget())


def ahead() -> None:
    """Start the launcher where one is needed, for a sandbox that will be started soon. Returns at once."""
    if idmap.is_needed():
        _launcher.start()


def stop() -> None:
    """End the launcher, if there is one: for a process that starts no more sandboxes, and lives on."""
    _launcher.stop()


def launch(
    packed: int, fds: Sequence[int], *, clones: Sequence[idmap.Clone] = (), groups: Sequence[Path] = ()
) -> Launched:
    """Have the orders in descriptor *packed* carried out, with the descriptors *fds* (``Orders.fds`` has the numbers
    that they get). *clones* and *groups* are those of the orders. Raises HostError."""
    # Only a new child is born in a v2 group; what was forked ahead would have to move.
    born = any(path.name == "cgroup.procs" for path in groups)
    shifts = None if born else {clone.shift for clone in clones if clone.shift is not None}
    return _launch([packed, *fds], b"", "a sandbox", shifts=shifts)


def mount(packed: int, answer: int) -> Launched:
    """Have the mounts made that the orders in descriptor *packed* name (:func:`.orders.pack_mounts`), and sent through
    the socket *answer*: descriptors, or a reason and a hint with a NUL between them. Raises HostError."""
    return _launch([packed, answer], MOUNTS, "what mounts for a fork")


def _launch(fds: Sequence[int], message: bytes, what: str, *, shifts: Set[object] | None = None) -> Launched:
    try:
        return Launched(_launcher.launch(fds, message, shifts=shifts))
    except OSError as error:
        raise HostError(
            f"cannot start {what}: {error.strerror}", hint="look at the host's limits of processes"
        ) from error
