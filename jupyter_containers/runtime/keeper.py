"""The keeper: one thread of the owner's process that waits for its containers' end and writes their logs.

A thread and not a process per container: a server may hold a thousand kernels. It sleeps in one epoll(7) over the
processes' descriptors (pidfd_open(2)) and the pipes of their output. A second thread starts sandboxes that are asked
for outside of the main thread: the kernel kills a sandbox when the *thread* that started it ends (prctl(2),
PR_SET_PDEATHSIG), and this one lasts as long as the process. A third measures disks, which may take seconds.
"""

from __future__ import annotations

import os
import queue
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .deadlines import Deadlines, told
from .ending import finish, remove_rest
from .identity import kill_process
from .log import Log
from .reaping import Reaper
from .removal import let_go

if TYPE_CHECKING:
    from .charge import Charge
    from .scratch import ScratchWatch

__all__ = ["Keeper"]

_T = TypeVar("_T")


class Keeper:
    """Use :meth:`current`: one per process. Thread-safe."""

    _current: Keeper | None = None
    _guard = threading.Lock()

    @classmethod
    def current(cls) -> Keeper:
        with cls._guard:
            if cls._current is None:
                cls._current = cls()
            return cls._current

    @classmethod
    def _lose(cls) -> None:
        """In a forked child: the parent's threads are not there, and its containers are not the child's."""
        cls._guard = threading.Lock()
        cls._current = None

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._charges: dict[str, Charge] = {}
        self._reapers: dict[Path, Reaper] = {}
        self._on_ready: dict[int, Callable[[], object]] = {}
        self._poll = select.epoll()
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads: set[str] = set()
        self._scratch: ScratchWatch | None = None
        self._scratch_lock = threading.Lock()
        self._deadlines = Deadlines()
        self._listen(self._deadlines.wake, self._deadlines.woken)
        self._run_thread("container-keeper", self._look_after)

    def reaper(self, containers: Path) -> Reaper:
        with self._lock:
            return self._reapers.setdefault(containers, Reaper(containers))

    def find(self, container_id: str) -> Charge | None:
        """The container, if this process keeps it."""
        return self._charges.get(container_id)

    def forget(self, path: Path) -> None:
        """The container in *path* has been removed: the reaper need not care for it."""
        reaper = self._reapers.get(path.parent)
        if reaper is not None:
            reaper.discard(path.name)

    def sweep(self, path: Path, hidden: Path) -> None:
        """Remove what is left of the container in *path*, which is *hidden*: by the reaper, if this process has one."""
        reaper = self._reapers.get(path.parent)
        if reaper is None or not reaper.sweep(path.name, hidden.name):
            remove_rest(hidden)

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

        self._run_thread("container-starter", self._run_jobs)
        self._jobs.put(job)
        result, error = results.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only if that is what it returned

    def keep(self, charge: Charge) -> None:
        """Take over a container that has just been started. Raises :class:`OSError` where descriptors run out."""
        for pid in {charge.process.pid, charge.process.child_pid}:  # of a fork it is one
            # Both processes: the outer one may end a moment before the container's last processes do.
            if not pid:
                continue  # it was killed before it had a second one
            try:
                charge.waits.add(os.pidfd_open(pid))
            except ProcessLookupError:
                continue
        if charge.output is not None:
            charge.log = Log(str(charge.folder.log))
            os.set_blocking(charge.output, False)
        self._charges[charge.folder.id] = charge
        if charge.output is not None:
            self._listen(charge.output, lambda: self._copy(charge))
        waits = tuple(charge.waits)
        for handle in waits:
            self._listen(handle, lambda handle=handle: self._process_ended(charge, handle))  # type: ignore[misc]
        if not waits:
            self._end(charge)
        if charge.watch is not None:
            self._run_thread("container-disks", self._watch_disks)
        if charge.time is not None:
            self.limit(charge, charge.time)
        if charge.scratch:
            self._watch_scratch(charge)

    def limit(self, charge: Charge, seconds: int) -> None:
        """End it in so many *seconds*."""
        charge.time = seconds
        self._deadlines.add(seconds, charge)

    def _run_thread(self, name: str, target: Callable[[], None]) -> None:
        with self._lock:
            if name in self._threads:
                return
            self._threads.add(name)
        threading.Thread(target=target, name=name, daemon=True).start()

    def _watch_scratch(self, charge: Charge) -> None:
        from .scratch import ScratchWatch  # late: ctypes is a slow import, and only kernels come here

        with self._scratch_lock:
            if self._scratch is None:
                self._scratch = ScratchWatch()
                self._listen(self._scratch.fd, self._look_at_scratch)
            for folder in charge.scratch:
                self._scratch.add(folder, lambda reason: _end_by_us(charge, reason))

    # In the keeper's thread

    def _look_at_scratch(self) -> None:
        with self._scratch_lock:
            assert self._scratch is not None
            self._scratch.look()

    def _look_after(self) -> None:
        while True:
            for handle, _ in self._poll.poll(self._deadlines.due()):
                action = self._on_ready.get(handle)
                try:
                    if action is not None:
                        action()
                except Exception:  # one container's trouble must not end the others' keeper
                    import logging  # late: 10 ms

                    logging.getLogger(__name__).exception("a container could not be looked after")
            for charge in self._deadlines.passed():
                if not charge.ended.is_set():
                    _end_by_us(charge, told(charge.time or 0))

    def _listen(self, handle: int, action: Callable[[], object]) -> None:
        self._on_ready[handle] = action
        self._poll.register(handle, select.EPOLLIN)

    def _close(self, handle: int) -> None:
        self._poll.unregister(handle)
        del self._on_ready[handle]
        os.close(handle)

    def _copy(self, charge: Charge) -> None:
        """Move output to the log, until there is no more to come."""
        assert charge.output is not None and charge.log is not None
        with suppress(BlockingIOError):
            data = os.read(charge.output, 1 << 16)
            if data:
                charge.log.write(data)
            else:
                self._close(charge.output)
                charge.output = None

    def _process_ended(self, charge: Charge, handle: int) -> None:
        self._close(handle)
        charge.waits.discard(handle)
        if not charge.waits:
            self._end(charge)

    def _end(self, charge: Charge) -> None:
        charge.watch = None
        if charge.scratch and self._scratch is not None:
            with self._scratch_lock:
                for folder in charge.scratch:
                    self._scratch.remove(folder)
        if charge.output is not None:
            self._drain(charge)
        charge.exit_code = charge.process.wait()
        if charge.remove:
            # A large layer takes its time to remove; other containers' output must not wait for it.
            threading.Thread(target=self._finish, args=(charge,), name=f"end-{charge.folder.id}").start()
        else:
            self._finish(charge)

    def _drain(self, charge: Charge) -> None:
        """What is still in the pipe; a process of another container, just forked, may have its other end open."""
        assert charge.output is not None and charge.log is not None
        with suppress(BlockingIOError):
            while data := os.read(charge.output, 1 << 16):
                charge.log.write(data)
        self._close(charge.output)
        charge.output = None

    def _finish(self, charge: Charge) -> None:
        left: Path | None = None
        try:
            assert charge.exit_code is not None
            path = charge.folder.path
            charge.cause, left = finish(path, charge.exit_code, reason=charge.reason, remove=charge.remove)
        finally:
            charge.process.close()
            charge.held.close()
            self._charges.pop(charge.folder.id, None)
            charge.ended.set()
        # Nobody waits for the rest; a process that ends waits for this thread, the reaper sees to it if it is killed.
        if left is not None:
            remove_rest(left)
        if not charge.lasting:
            self.forget(charge.folder.path)

    # In threads of their own

    def _run_jobs(self) -> None:
        while True:
            self._jobs.get()()

    def _watch_disks(self) -> None:
        while True:
            for charge in list(self._charges.values()):
                watch = charge.watch
                if watch is not None and watch.passed():
                    _end_by_us(charge, watch.told())
                    charge.watch = None
            time.sleep(0.2)


def _end_by_us(charge: Charge, reason: str) -> None:
    charge.reason = reason
    kill_process(charge.process.pid, charge.start, timeout=0)
    let_go(charge.folder.path)  # it may be paused


os.register_at_fork(after_in_child=Keeper._lose)
