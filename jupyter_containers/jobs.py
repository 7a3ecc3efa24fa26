"""Long work that is no build: transfers, packages that are added. In a few threads, each with its progress and a way
to cancel it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgspec

from .build.monitor import Event
from .errors import CancelledError, ConflictError, ContainersError, NotFoundError
from .views import JobPage, JobView
from .workers import Workers

__all__ = ["Control", "Jobs", "Work"]

_LIMIT = 4
"""Jobs at work at once: most of them wait for a network."""
_KEPT = 100
"""Ended jobs that are remembered."""
_ACTIVE = frozenset({"queued", "running"})

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]


class Control:
    """What a job's work holds: it tells its progress here, and learns that it is to stop."""

    def __init__(self, change: Callable[..., None]) -> None:
        self.cancel = threading.Event()
        self._change = change

    @classmethod
    def silent(cls) -> Control:
        """For work that is no job: nobody is told, nothing stops it."""
        return cls(lambda **fields: None)

    def follow(self, event: Event) -> None:
        """The monitor of a build that is part of the job. Its end comes by :attr:`cancel`."""
        if event.kind == "progress" and event.total:
            self._change(phase=event.phase or event.text, percent=round(100 * event.done / event.total, 1))
        elif event.kind == "phase" or (event.kind == "step" and not event.cached):
            self._change(phase=event.step or event.phase or "", percent=None)

    def check(self) -> None:
        """:class:`CancelledError` once it is to stop."""
        if self.cancel.is_set():
            raise CancelledError("it was cancelled")

    def progress(self, what: str, done: int, total: int) -> None:
        """Tell how far it is; a listener for transfers and builds. Raises as :meth:`check`, which ends a transfer."""
        self.check()
        self._change(phase=what, percent=round(100 * min(done / total, 1.0), 1) if total > 0 else None)

    def say(self, text: str) -> None:
        """Tell something that deserves a look: kept in the job's ``notes``."""
        self._change(note=text)


Work: TypeAlias = Callable[[Control], "dict[str, Any] | None"]
"""Does it, in a thread; what it returns is the job's ``result``."""


class _Job:
    def __init__(self, view: JobView, work: Work, run: Callable[[_Job], None]) -> None:
        self.view = view
        self.work = work
        self.control = Control(self.change)
        self.task = lambda: run(self)
        self._guard = threading.Lock()

    def change(self, *, note: str = "", **fields: Any) -> None:
        with self._guard:
            changed = msgspec.structs.replace(self.view, **fields)
            if note:
                changed = msgspec.structs.replace(changed, notes=(*changed.notes, note))
            if changed != self.view:
                self.view = msgspec.structs.replace(changed, version=self.view.version + 1)


class Jobs:
    """The jobs of this process. :meth:`close` it.

    :param on_change: called when a job begins or ends, from its thread.
    """

    def __init__(self, *, on_change: Callable[[JobView], None] = lambda view: None) -> None:
        self._on_change = on_change
        self._jobs: dict[str, _Job] = {}
        self._workers = Workers(_LIMIT, name="job")
        self._guard = threading.Lock()

    @property
    def busy(self) -> bool:
        return any(job.view.state in _ACTIVE for job in list(self._jobs.values()))

    def close(self, *, patience: float = 10.0) -> None:
        """Cancel all, and return when they have stopped, at the latest after *patience* seconds."""
        for job in list(self._jobs.values()):
            self._stop(job)
        self._workers.join(patience=patience)

    def start(self, kind: str, title: str, work: Work, *, alone: str = "") -> JobView:
        """Queue *work*. *alone*: :class:`ConflictError` while another job of that word is at work."""
        now = time.time()
        job_id = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)) + f"-{os.urandom(3).hex()}"
        view = JobView(id=job_id, kind=kind, title=title, state="queued", queued_at=now, alone=alone)
        with self._guard:
            for other in self._jobs.values() if alone else ():
                if other.view.alone == alone and other.view.state in _ACTIVE:
                    raise ConflictError(
                        f"{other.view.title}: at work already", hint=f"wait for the job {other.view.id}"
                    )
            for key in [key for key, job in self._jobs.items() if job.view.state not in _ACTIVE][:-_KEPT]:
                del self._jobs[key]
            self._jobs[job_id] = job = _Job(view, work, self._run)
        self._on_change(view)
        self._workers.submit(job.task)
        return job.view

    def list(self) -> tuple[JobView, ...]:
        """Newest first."""
        return tuple(job.view for job in reversed(list(self._jobs.values())))

    def find(self, job_id: str) -> JobView:
        """:class:`NotFoundError`."""
        return self._find(job_id).view

    def page(self, job_id: str, version: int) -> JobPage:
        """The job, as what comes after its *version*; does not wait."""
        view = self.find(job_id)
        return JobPage(view=view, has_news=view.version > version, ended=view.state not in _ACTIVE)

    def cancel(self, job_id: str) -> JobView:
        """Ask it to stop; :class:`ConflictError` where it has ended."""
        job = self._find(job_id)
        if job.view.state not in _ACTIVE:
            raise ConflictError(f"{job.view.title}: it has ended ({job.view.state})")
        self._stop(job)
        return job.view

    def _find(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"no job {job_id[:64]!r}", hint="jobs are known until the server ends")
        return job

    def _stop(self, job: _Job) -> None:
        job.control.cancel.set()
        if self._workers.withdraw(job.task):
            self._end(job, "cancelled")

    def _run(self, job: _Job) -> None:
        job.change(state="running", started_at=time.time())
        self._on_change(job.view)
        try:
            result = job.work(job.control)
        except CancelledError:
            self._end(job, "cancelled")
        except ContainersError as error:
            self._end(job, "failed", error=error.message, hint=error.hint)
        except Exception as error:
            # A bug. Nobody waits for this thread's result, so it is told as the job's end, and to the log.
            import logging  # late: 3 ms, for what should not happen

            logging.getLogger(__name__).exception("the job %s failed", job.view.id)
            self._end(job, "failed", error=f"{type(error).__name__}: {error}")
        else:
            self._end(job, "done", percent=100.0, result=result)

    def _end(self, job: _Job, state: State, **fields: Any) -> None:
        job.change(state=state, ended_at=time.time(), **fields)
        job.work = _nothing  # lets go of what it holds
        self._on_change(job.view)


def _nothing(control: Control) -> None:
    return None
