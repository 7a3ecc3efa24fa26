"""The builds that this process runs: in a few threads, each build with a way to cancel it.

What is kept of builds, those of other processes included, is :mod:`.build.history`'s; :class:`Builds` joins both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from .build.monitor import Monitor
from .errors import CancelledError, ConflictError, ContainersError, NotFoundError
from .paths import Paths
from .views import ACTIVE, BuildView, EventPage, build_view, read_page
from .workers import Workers

if TYPE_CHECKING:
    from .build.ensure import Built
    from .build.history import BuildRecord
    from .spec.model import LoadedSpec

__all__ = ["Builder", "Builds"]

_KEPT_JOBS = 100
"""Ended builds of this process that are remembered, for those that ended before they had a record on disk."""


_LONGEST_ID = 64
"""Characters: an id is the name of a folder, and no file system takes any name."""

Builder: TypeAlias = "Callable[..., Built]"
"""Called as :func:`.build.ensure.ensure_built` is: ``(loaded, paths=, monitor=, cancel=, build_id=, **options)``."""


class _Job:
    """A build that this process was asked for; ``view`` tells of it until it has a record on disk."""

    def __init__(
        self,
        view: BuildView,
        loaded: LoadedSpec,
        monitor: Monitor,
        options: dict[str, Any],
        run: Callable[[_Job], None],
    ) -> None:
        self.view = view
        self.loaded = loaded
        self.monitor = monitor
        self.options = options
        self.cancel = threading.Event()
        self.task = lambda: run(self)


class Builds:
    """Owner of this process's building threads. :meth:`close` it.

    :param build: builds one loaded spec; called in a thread.
    :param limit: builds at work at once; more wait their turn.
    :param on_change: called with a build's view when it starts (in its thread) and when it has ended.
    """

    def __init__(self, paths: Paths, build: Builder, *, limit: int, on_change: Callable[[BuildView], None]) -> None:
        self.paths = paths
        self._build = build
        self._on_change = on_change
        self._jobs: dict[str, _Job] = {}
        self._workers = Workers(limit, name="build")
        self._guard = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether a build of this process waits or is at work."""
        return any(job.view.state in ACTIVE for job in list(self._jobs.values()))

    def close(self, *, patience: float = 10.0) -> None:
        """Cancel what is at work or waits, and return when it has stopped, at the latest after *patience* seconds."""
        for job in list(self._jobs.values()):
            self._cancel(job)
        self._workers.join(patience=patience)

    def start(self, loaded: LoadedSpec, path: Path, *, monitor: Monitor, **options: bool) -> str:
        """Queue a build and return its id. :class:`ConflictError` where this process builds that name already."""
        from .build import history

        name = loaded.spec.name
        build_id = history.new_build_id()
        view = BuildView(id=build_id, environment=name, spec_file=str(path), state="queued")
        with self._guard:
            active = self.active(name)
            if active is not None:
                raise ConflictError(
                    f"{name} is being built already (build {active})", hint=f"follow or cancel the build {active}"
                )
            self._forget_ended()
            self._jobs[build_id] = job = _Job(view, loaded, monitor, options, self._run)
            self._workers.submit(job.task)
        return build_id

    def cancel(self, build_id: str) -> BuildView:
        """Ask a build to stop; it ends as ``cancelled`` soon after.

        :class:`NotFoundError`; :class:`ConflictError` where it has ended, or another process runs it.
        """
        view = self.find(build_id)
        if view.state not in ACTIVE:
            raise ConflictError(f"the build {build_id} has ended ({view.state})")
        job = self._jobs.get(build_id)
        if job is None:
            raise ConflictError(f"the build {build_id} is run by another process", hint="stop it there (Ctrl-C)")
        self._cancel(job)
        return self.find(build_id)

    def list(self, *, known: dict[str, BuildRecord] | None = None) -> tuple[BuildView, ...]:
        """Builds queued, at work and kept on disk, newest first; *known* as of :func:`.build.history.list_builds`."""
        from .build import history

        views = {job.view.id: job.view for job in list(self._jobs.values())}
        views.update((entry.id, self._view(entry)) for entry in history.list_builds(self.paths, known=known))
        return tuple(views[key] for key in sorted(views, reverse=True))

    def find(self, build_id: str) -> BuildView:
        """One build; :class:`NotFoundError`."""
        from .build import history

        if len(build_id) > _LONGEST_ID:
            raise NotFoundError(f"no build {build_id[:_LONGEST_ID]!r}…")
        try:
            return self._view(history.find_build(self.paths, build_id))
        except NotFoundError:
            job = self._jobs.get(build_id)
            if job is None:
                raise
            return job.view

    def active(self, name: str) -> str | None:
        """The id of this process's build of environment *name* that waits or is at work."""
        views = [job.view for job in list(self._jobs.values())]
        return next((view.id for view in views if view.environment == name and view.state in ACTIVE), None)

    def read_events(self, build_id: str, position: int) -> EventPage:
        """The events after *position* (0, or a position of an earlier page) that are there now."""
        view = self.find(build_id)  # before the file, so that an end it tells of is in the file already
        page = read_page(self.paths.builds / view.id / "events.jsonl", position)
        return msgspec.structs.replace(page, ended=page.ended and view.state not in ACTIVE)

    def _view(self, entry: BuildRecord) -> BuildView:
        """What the record on disk says, and what went wrong after the image was there."""
        view, job = build_view(entry), self._jobs.get(entry.id)
        if job is not None and job.view.error and view.state == "done":
            return msgspec.structs.replace(view, error=job.view.error, hint=job.view.hint)
        return view

    def _run(self, job: _Job) -> None:
        self._change(job, state="running", started_at=time.time())
        try:
            built = self._build(
                job.loaded,
                paths=self.paths,
                monitor=job.monitor,
                cancel=job.cancel,
                build_id=job.view.id,
                **job.options,
            )
        except CancelledError:
            self._change(job, state="cancelled", ended_at=time.time())
        except ContainersError as error:
            self._change(job, state="failed", ended_at=time.time(), error=error.message, hint=error.hint)
        except Exception as error:
            # A bug. Nobody waits for this thread's result, so it is told as the build's end, and to the log.
            import logging  # late: 3 ms, for what should not happen

            logging.getLogger(__name__).exception("the build %s failed", job.view.id)
            self._change(job, state="failed", ended_at=time.time(), error=f"{type(error).__name__}: {error}")
        else:
            self._change(job, state="done", ended_at=time.time(), image=built.image.digest)

    def _cancel(self, job: _Job) -> None:
        job.cancel.set()
        if self._workers.withdraw(job.task):
            self._change(job, state="cancelled", ended_at=time.time())

    def _change(self, job: _Job, **fields: Any) -> None:
        job.view = msgspec.structs.replace(job.view, **fields)
        self._on_change(job.view)

    def _forget_ended(self) -> None:
        ended = [key for key, job in self._jobs.items() if job.view.state not in ACTIVE]
        for key in ended[:-_KEPT_JOBS]:
            del self._jobs[key]
