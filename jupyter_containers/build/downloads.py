"""Downloads of all steps, begun together at the start: the network works while earlier steps are built."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ..errors import ArchiveError, HashMismatchError
from ..image.store import Store
from ..lock.apt import fetch_debs
from ..lock.fetch import Download, Fetcher
from ..lock.pip import Artifact
from .inputs import open_input
from .monitor import Progress
from .plan import AptStep, BaseStep, PythonStep, Step
from .report import Reporter, check_cancelled

__all__ = ["Downloads"]

_T = TypeVar("_T")
_GRACE = 1.0
"""Seconds that transfers are given to end when the build has failed."""


class Downloads:
    """The transfers of one build. Leaving the ``with`` ends those that still run."""

    def __init__(self, fetcher: Fetcher, folder: Path) -> None:
        self._fetcher = fetcher
        self._folder = folder  # where paths of local wheels start
        # One step after the other, each with many files at once: what is needed first has all of the bandwidth.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="download")
        self._debs: dict[str, Future[dict[str, Path]]] = {}
        self._artifacts: dict[str, Future[dict[Artifact, Path]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fetcher.close()
        # After an error nobody wants what is still under way: it ends soon, or by its time-out where nobody answers.
        self._pool.shutdown(wait=error is None, cancel_futures=True)
        begun: list[Future[Any]] = [*self._debs.values(), *self._artifacts.values()]
        wait(begun, timeout=_GRACE)

    def begin(
        self, steps: Sequence[Step], store: Store, reporter: Callable[[Step], Reporter], missing: MissingArtifacts
    ) -> None:
        """Start the transfers that *steps*, those that are not built yet, will wait for, in their order."""
        for step in steps:
            progress = reporter(step).progress("downloading", "bytes")
            match step:
                case BaseStep() | AptStep() if step.packages:
                    self._debs[step.id] = self._pool.submit(
                        fetch_debs, step.packages, base=step.base, fetcher=self._fetcher, progress=progress
                    )
                case PythonStep():
                    self._artifacts[step.id] = self._pool.submit(self._fetch_artifacts, missing(step, store), progress)

    def wait_for_debs(self, step_id: str, cancel: threading.Event) -> dict[str, Path]:
        """The step's packages by name, each with the hash that the lock has."""
        with _told_of_the_lock():
            return _wait(self._debs[step_id], cancel)

    def wait_for_artifacts(self, step_id: str, cancel: threading.Event) -> dict[Artifact, Path]:
        """The step's wheels and source archives, each with the hash that the lock has."""
        return _wait(self._artifacts[step_id], cancel)

    def _fetch_artifacts(self, artifacts: Sequence[Artifact], progress: Progress) -> dict[Artifact, Path]:
        remote = [item for item in artifacts if "://" in item.url_or_path]
        items = [Download((item.url_or_path,), item.sha256, item.size) for item in remote]
        with _told_of_the_lock():
            paths = self._fetcher.fetch_many(items, what="Python packages", progress=progress)
        local = {item: self._take_in(item) for item in artifacts if item not in remote}
        return {**dict(zip(remote, paths, strict=True)), **local}

    def _take_in(self, item: Artifact) -> Path:
        """A copy of a file of the spec's folder, which others may be writing to."""
        file = self._folder / item.url_or_path
        try:
            with open_input(self._folder, item.url_or_path) as stream:
                return self._fetcher.take_in(stream, item.sha256)
        except HashMismatchError as error:
            raise HashMismatchError(
                f"{file} is not what was locked: {error.message}",
                hint="run `jupyter containers lock` to take the file as it is now",
            ) from error
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or error
            raise ArchiveError(f"cannot read {file}, which the lock names: {cause}") from error


@contextmanager
def _told_of_the_lock() -> Iterator[None]:
    """A file that has another hash: the mirror's fault, as the fetcher says, or that of who wrote the lock."""
    try:
        yield
    except HashMismatchError as error:
        hint = f"{error.hint}; a lock that was altered by hand has to be restored"
        raise HashMismatchError(f"not what the lock has: {error.message}", hint=hint) from error


MissingArtifacts = Callable[[PythonStep, Store], Sequence[Artifact]]


def _wait(future: Future[_T], cancel: threading.Event) -> _T:
    while True:
        try:
            return future.result(timeout=0.2)
        except NotYet:
            if future.done():
                raise  # the transfer's own time-out, not ours
            check_cancelled(cancel)
