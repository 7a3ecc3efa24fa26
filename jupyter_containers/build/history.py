"""The builds of this user: a folder each, which outlives the build.

``builds/<id>/build.json`` is a :class:`BuildRecord`, replaced as a whole; ``events.jsonl`` has one
:class:`~.monitor.Event` a line, only ever appended to, and its last line has the kind ``result``. While a build
works its process holds a lock on ``lock``: one that reads ``running`` and is not locked was interrupted.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from types import TracebackType
from typing import IO, Literal, NoReturn, Self

import msgspec

from ..errors import CancelledError, ContainersError, NotFoundError
from ..paths import Paths
from .monitor import Event, Monitor

__all__ = [
    "BuildRecord", "Forgotten", "Recorder", "find_build", "follow", "forget_builds", "list_builds", "new_build_id",
    "read_events", "read_log",
]  # fmt: skip

KEPT = 100
"""Builds whose folders stay; starting one removes the oldest finished ones beyond that."""


class BuildRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one build."""

    id: str
    name: str
    """Of the environment."""
    spec_file: str
    state: Literal["running", "done", "failed", "cancelled", "interrupted"]
    phase: str = ""
    percent: float | None = None
    started_at: float
    """Seconds since the epoch."""
    ended_at: float | None = None
    image: str = ""
    error: str = ""
    hint: str = ""
    pid: int = 0


def new_build_id() -> str:
    """An id that sorts by time, also among those of one moment: ``20260131-101500-123-a1b2`` (UTC)."""
    global _last
    with _turn:
        _last = now = max(int(time.time() * 1000), _last + 1)
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime(now // 1000)) + f"-{now % 1000:03d}-{os.urandom(2).hex()}"


_turn = Lock()
_last = 0
"""Milliseconds of the last id of this process."""


def list_builds(paths: Paths, *, known: dict[str, BuildRecord] | None = None) -> tuple[BuildRecord, ...]:
    """All builds that are remembered, newest first.

    *known*: by id, those that had ended at an earlier call with it, which are not read again.
    """
    ended = known if known is not None else {}
    names = sorted((name for name in os.listdir(paths.builds) if not name.startswith(".")), reverse=True)
    for name in ended.keys() - set(names):
        del ended[name]
    found = []
    for name in names:
        record = ended.get(name) or _read(paths.builds / name)
        if record is not None:
            found.append(record)
            if record.state != "running":
                ended[name] = record
    return tuple(found)


def find_build(paths: Paths, build_id: str) -> BuildRecord:
    """The build *build_id* (an unambiguous beginning will do); :class:`NotFoundError`."""
    return _read(_folder(paths, build_id)) or _unknown(build_id)


def read_log(paths: Paths, build_id: str) -> str:
    """The build's output and messages as text, a line each."""
    return "".join(f"{line}\n" for line in map(_as_text, read_events(paths, build_id)) if line)


def read_events(paths: Paths, build_id: str) -> Iterator[Event]:
    """The events so far."""
    decoder = msgspec.json.Decoder(Event)
    with (_folder(paths, build_id) / "events.jsonl").open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):  # the last one may still be being written
                yield decoder.decode(line)


def follow(paths: Paths, build_id: str, *, stop: Flag | None = None, interval: float = 0.1) -> Iterator[Event]:
    """The events from the first on, and those to come, until the build has ended or *stop* is set."""
    folder = _folder(paths, build_id)
    decoder = msgspec.json.Decoder(Event)
    rest = b""
    with (folder / "events.jsonl").open("rb") as stream:
        while stop is None or not stop.is_set():
            ended = not _is_locked(folder)  # asked before reading: what it wrote last is then read
            chunk = stream.read(1 << 20)
            if not chunk:
                if ended:
                    return
                time.sleep(interval)
                continue
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event = decoder.decode(line)
                yield event
                if event.kind == "result":
                    return


class Recorder:
    """A running build's folder: a monitor that writes events down and passes them on.

    Use with ``with``: leaving it by an exception writes the failure, else :meth:`finish` must have been called.
    """

    def __init__(self, paths: Paths, *, build_id: str, name: str, spec_file: str, monitor: Monitor) -> None:
        self.folder = paths.builds / build_id
        self._monitor = monitor
        self._guard = Lock()
        self._record = BuildRecord(
            id=build_id, name=name, spec_file=spec_file, state="running", started_at=time.time(), pid=os.getpid()
        )
        self._events: IO[bytes] | None = None
        self._lock = -1
        _forget_old(paths)

    @property
    def id(self) -> str:
        return self._record.id

    @property
    def log(self) -> Path:
        return self.folder / "events.jsonl"

    def __enter__(self) -> Self:
        self.folder.mkdir(mode=0o700)
        try:
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._events = self.log.open("ab", buffering=0)
            self._write()
        except BaseException:
            self._close()
            for file in self.folder.iterdir():
                file.unlink()
            self.folder.rmdir()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            stopped = isinstance(error, CancelledError | KeyboardInterrupt | BrokenPipeError)
            message = error.message if isinstance(error, ContainersError) else f"{type(error).__name__}: {error}"
            hint = error.hint if isinstance(error, ContainersError) else ""
            message = "the build was cancelled" if isinstance(error, KeyboardInterrupt) else message
            message = "whoever read the build's output has gone" if isinstance(error, BrokenPipeError) else message
            with suppress(OSError):  # a full disk: what is raised tells it, and a build without an end is told as such
                self._end("cancelled" if stopped else "failed", error=message, hint=hint)
        self._close()

    def _close(self) -> None:
        if self._events is not None:
            self._events.close()
        if self._lock >= 0:
            os.close(self._lock)

    def __call__(self, event: Event) -> None:
        with self._guard:
            assert self._events is not None
            self._events.write(msgspec.json.encode(event) + b"\n")
            percent = 100 * event.done / event.total if event.kind == "progress" and event.total else None
            ended = event.kind == "step" and event.phase == "done"  # the step is, and the build goes on
            phase = self._record.phase if ended else event.phase or self._record.phase
            # build.json is for those who look now and then: a write for each percent would be too many.
            changed = phase != self._record.phase or (percent is not None and self._is_news(percent))
            if changed:
                self._record = msgspec.structs.replace(self._record, phase=phase, percent=percent)
                self._write()
        self._monitor(event)

    def finish(self, image: str) -> None:
        """The build succeeded: its result is *image*."""
        self._end("done", image=image)

    def _is_news(self, percent: float) -> bool:
        return self._record.percent is None or abs(percent - self._record.percent) >= 5

    def _end(
        self, state: Literal["done", "failed", "cancelled"], *, image: str = "", error: str = "", hint: str = ""
    ) -> None:
        self._record = msgspec.structs.replace(
            self._record,
            state=state,
            phase=state,
            percent=None,
            ended_at=time.time(),
            image=image,
            error=error,
            hint=hint,
        )
        # The event first: who reads in build.json that the build has ended finds its last event in the file.
        self(Event(kind="result", phase=state, image=image, error=error, hint=hint))
        self._write()

    def _write(self) -> None:
        temporary = self.folder / "build.json.new"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(self._record)))
        temporary.replace(self.folder / "build.json")


def _folder(paths: Paths, build_id: str) -> Path:
    if not build_id or not build_id.replace("-", "").isalnum():
        _unknown(build_id)
    exact = paths.builds / build_id
    if exact.is_dir():
        return exact
    found = [folder for folder in paths.builds.iterdir() if folder.name.startswith(build_id)]
    return found[0] if len(found) == 1 else _unknown(build_id)


def _unknown(build_id: str) -> NoReturn:
    raise NotFoundError(f"no build {build_id!r}", hint="`jupyter containers logs` lists the builds")


def _read(folder: Path) -> BuildRecord | None:
    try:
        record = msgspec.json.decode((folder / "build.json").read_bytes(), type=BuildRecord)
    except (OSError, msgspec.DecodeError):
        return None
    if record.state != "running" or _is_locked(folder):
        return record
    # It may have ended between the two looks.
    record = msgspec.json.decode((folder / "build.json").read_bytes(), type=BuildRecord)
    if record.state != "running":
        return record
    return msgspec.structs.replace(
        record, state="interrupted", error="interrupted: its process died", hint="build again: finished steps are kept"
    )


def _is_locked(folder: Path) -> bool:
    try:
        handle = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


class Forgotten(msgspec.Struct, frozen=True):
    """A build whose folder was removed, or would be."""

    id: str
    size: int
    """Bytes on disk."""


def forget_builds(paths: Paths, *, older_than: float, dry_run: bool = False) -> tuple[Forgotten, ...]:
    """Remove the folders of builds that began before *older_than* (seconds since the epoch) and have ended."""
    from ..image.tree import remove_tree
    from ..image.usage import measure_tree

    gone = []
    for build in list_builds(paths):
        folder = _folder(paths, build.id)
        if build.started_at >= older_than or _is_locked(folder):
            continue
        gone.append(Forgotten(build.id, measure_tree(folder).size))
        if not dry_run:
            remove_tree(folder)
    return tuple(gone)


def _forget_old(paths: Paths) -> None:
    import shutil

    folders = sorted((folder for folder in paths.builds.iterdir() if folder.is_dir()), reverse=True)
    for folder in folders[KEPT:]:
        if not _is_locked(folder):
            with suppress(OSError):
                shutil.rmtree(folder)


def _as_text(event: Event) -> str:
    match event.kind:
        case "output":
            return event.text
        case "step":
            what = "cached" if event.cached else event.phase or "started"
            return f"[{what}] {event.step}"
        case "phase":
            return f"[{event.phase}] {event.text}".rstrip()
        case "result":
            return f"[{event.phase}] {event.error or event.image}"
    return ""
