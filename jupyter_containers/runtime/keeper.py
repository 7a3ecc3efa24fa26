"""The keeper: one thread of the owner's process that waits for its containers' end and writes their logs.

A thread and not a process per container: a server may hold a thousand kernels. It sleeps in one epoll(7) over the
processes' descriptors (pidfd_open(2)) and the pipes of their output. A second thread starts sandboxes that are asked
for outside of the main thread: the kernel kills a sandbox when the *thread* that started it ends (prctl(2),
PR_SET_PDEATHSIG), and these two last as long as the process.
"""

from __future__ import annotations

import os
import queue
import select
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ..sandbox.process import Process
from .disk import DiskWatch
from .ending import finish
from .folder import Folder
from .identity import kill_process
from .log import Log
from .reaping import Reaper

__all__ = ["Charge", "Keeper"]

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class Charge:
    """A container that this process keeps."""

    folder: Folder
    process: Process
    start: int
    """Start time of the outer process."""
    held: ExitStack
    """What is let go at the end: the folder's lock, the image's lease."""
    remove: bool
    lasting: bool = False
    """Its folder, once it has ended, is still removed when this process is killed (kernels)."""
    output: int | None = None
    """Reading end of the pipe of its output; None: its output goes elsewhere."""
    watch: DiskWatch | None = None
    reason: str = ""
    """Why we ended it, where we did."""
    exit_code: int | None = None
    cause: str = ""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when the end is written (and the container removed, where that was asked for)."""
    _log: Log | None = None
    _waits: set[int] = field(default_factory=set)
    """Descriptors of the processes that have not ended yet."""


class Keeper:
    """Use :meth:`current`: one per process."""

    _current: Keeper | None = None
    _guard = threading.Lock()

    @classmethod
    def current(cls) -> Keeper:
        with cls._guard:
            if cls._current is None:
                cls._current = cls()
            return cls._current

    @classmethod
    def _forget(cls) -> None:
        """In a forked child: the parent's threads are not there, and its containers are not the child's."""
        cls._guard = threading.Lock()
        cls._current = None

    def __init__(self) -> None:
        self._charges: dict[str, Charge] = {}
        self._reapers: dict[Path, Reaper] = {}
        self._on_ready: dict[int, Callable[[], object]] = {}
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._listen(self._wake, self._woken)
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._starter: threading.Thread | None = None
        threading.Thread(target=self._run, name="container-keeper", daemon=True).start()

    def reaper(self, containers: Path) -> Reaper:
        with self._guard:
            return self._reapers.setdefault(containers, Reaper(containers))

    def find(self, container_id: str) -> Charge | None:
        return self._charges.get(container_id)

    def forget(self, path: Path) -> None:
        """The container in *path* has been removed: the reaper need not care for it."""
        reaper = self._reapers.get(path.parent)
        if reaper is not None:
            reaper.discard(path.name)

    def start(self, function: Callable[[], _T]) -> _T:
        """Call *function* in a thread that lasts as long as the process, and return what it returns or raises."""
        if threading.current_thread() is threading.main_thread():
            return function()
        results: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

        def job() -> None:
            try:
                results.put((function(), None))
            except BaseException as error:
                results.put((None, error))

        with self._guard:
            if self._starter is None:
                self._starter = threading.Thread(target=self._run_jobs, name="container-starter", daemon=True)
                self._starter.start()
        self._jobs.put(job)
        result, error = results.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only if that is what it returned

    def keep(self, charge: Charge) -> None:
        """Take over a container that has just been started."""
        self._charges[charge.folder.id] = charge
        if charge.output is not None:
            charge._log = Log(str(charge.folder.log))
            os.set_blocking(charge.output, False)
            self._listen(charge.output, lambda: self._copy(charge))
        # Both processes: the outer one may end a moment before the container's last processes do.
        for pid in (charge.process.pid, charge.process.child_pid):
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            charge._waits.add(handle)
        waits = set(charge._waits)
        for handle in waits:
            self._listen(handle, lambda handle=handle: self._ended(charge, handle))  # type: ignore[misc]
        if not waits:
            self._jobs_of_the_end(charge)
        elif charge.watch is not None:
            os.eventfd_write(self._wake, 1)

    # In the keeper's thread

    def _run(self) -> None:
        while True:
            for handle, _ in self._poll.poll(self._pause()):
                self._do(self._on_ready.get(handle))
            for charge in [charge for charge in self._charges.values() if charge.watch is not None]:
                self._do(lambda charge=charge: self._measure(charge))  # type: ignore[misc]

    def _do(self, action: Callable[[], object] | None) -> None:
        """One container's trouble (its folder was removed by hand) must not end the others' keeper."""
        try:
            if action is not None:
                action()
        except Exception:
            import logging  # late: 10 ms

            logging.getLogger(__name__).exception("a container could not be looked after")

    def _woken(self) -> None:
        os.eventfd_read(self._wake)

    def _pause(self) -> float | None:
        """Seconds until a disk has to be measured; None: no disk is watched."""
        due = [charge.watch.due() for charge in list(self._charges.values()) if charge.watch is not None]
        return max(min(due), 0.05) if due else None

    def _listen(self, handle: int, action: Callable[[], object]) -> None:
        self._on_ready[handle] = action
        self._poll.register(handle, select.EPOLLIN)

    def _close(self, handle: int) -> None:
        self._poll.unregister(handle)
        del self._on_ready[handle]
        os.close(handle)

    def _copy(self, charge: Charge) -> bool:
        """Move output to the log; False when there is no more to come."""
        assert charge.output is not None and charge._log is not None
        try:
            data = os.read(charge.output, 1 << 16)
        except BlockingIOError:
            return True
        if data:
            charge._log.write(data)
            return True
        self._close(charge.output)
        charge.output = None
        return False

    def _measure(self, charge: Charge) -> None:
        watch = charge.watch
        if watch is not None and watch.passed():
            charge.watch = None
            charge.reason = f"out of disk ({watch.used} bytes in its writable layer, limit {watch.limit})"
            kill_process(charge.process.pid, charge.start, timeout=0)

    def _ended(self, charge: Charge, handle: int) -> None:
        self._close(handle)
        charge._waits.discard(handle)
        if not charge._waits:
            self._jobs_of_the_end(charge)

    def _jobs_of_the_end(self, charge: Charge) -> None:
        charge.watch = None
        if charge.output is not None:
            self._drain(charge)
        charge.exit_code = charge.process.wait()
        if charge.remove:
            # A large layer takes its time to remove; other containers' output must not wait for it.
            threading.Thread(target=self._finish, args=(charge,), name=f"end-{charge.folder.id}").start()
        else:
            self._finish(charge)

    def _drain(self, charge: Charge) -> None:
        assert charge.output is not None
        while select.select([charge.output], [], [], 0)[0]:
            if not self._copy(charge):
                return
        self._close(charge.output)
        charge.output = None

    def _finish(self, charge: Charge) -> None:
        try:
            if charge._log is not None:
                charge._log.close()
            assert charge.exit_code is not None
            path = charge.folder.path
            charge.cause = finish(path, charge.exit_code, reason=charge.reason, remove=charge.remove)
        finally:
            charge.process.close()
            charge.held.close()
            self._charges.pop(charge.folder.id, None)
            if not charge.lasting:
                self.forget(charge.folder.path)
            charge.ended.set()

    # In the starter's thread

    def _run_jobs(self) -> None:
        while True:
            self._jobs.get()()


os.register_at_fork(after_in_child=Keeper._forget)
