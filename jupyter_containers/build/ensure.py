"""From a spec to a built environment, doing only what is left to do: the front door of this room.

Nothing heavy is imported before it is known that there is work: a build with nothing changed reads the spec, hashes
the lock's bytes and looks at the inputs' times.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ..errors import CancelledError, ContainersError, LockError, NotFoundError, SpecError
from ..image.model import Image
from ..image.store import Store
from ..paths import Paths
from ..spec.catalog import Record, find_record, record
from ..spec.detect import is_standard
from ..spec.load import load_spec
from ..spec.model import LoadedSpec
from . import history
from .inputs import hash_inputs, hash_paths, input_paths
from .monitor import Event, Monitor, silent
from .version import FORMAT

if TYPE_CHECKING:
    from ..lock.model import Lock
    from ..lock.settings import Settings

__all__ = ["Built", "Status", "ensure_built", "spec_location", "status"]


@dataclass(frozen=True)
class Built:
    """An environment that is ready."""

    loaded: LoadedSpec
    image: Image
    record: Record
    build_id: str = ""
    """Empty: there was nothing to do."""

    @cached_property
    def lock(self) -> Lock:
        """Read when it is asked for: parsing a long lock takes longer than all else of a build with nothing to do."""
        from ..lock.file import read_lock

        return read_lock(self.loaded.lock_file)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How an environment stands."""

    state: Literal["not built", "building", "ready", "out of date", "broken"]
    reason: str = ""
    build_id: str | None = None
    """Of the build at work."""
    phase: str = ""
    percent: float | None = None


class _Ready(msgspec.Struct, frozen=True):
    """What is remembered of a successful build: which inputs its fingerprint is made of."""

    fingerprint: str
    inputs: tuple[str, ...]


def ensure_built(
    spec: Path | LoadedSpec,
    *,
    paths: Paths,
    settings: Settings | None = None,
    monitor: Monitor = silent,
    locked: bool = False,
    no_cache: bool = False,
    upgrade: bool | frozenset[str] = False,
    cancel: threading.Event | None = None,
    build_id: str = "",
) -> Built:
    """The environment of *spec*, locked, built and known by its name.

    The lock is written beside the spec where it is missing or outdated; with *locked* that is a :class:`LockError`.
    *upgrade* takes newest versions: of all packages, or of those named. *build_id*: log under this id, made by
    :func:`~.history.new_build_id`. With nothing changed since the last build nothing is done and no build is logged.

    Raises what reading, resolving and building raise; the build's folder keeps the error as well.
    """
    loaded = spec if isinstance(spec, LoadedSpec) else load_spec(spec)
    if not (no_cache or upgrade):
        present = _find_ready(loaded, paths)
        if present is not None:
            return present
    recorder = history.Recorder(
        paths, build_id=build_id or history.new_build_id(), name=loaded.spec.name,
        spec_file=spec_location(loaded, None), monitor=monitor,
    )  # fmt: skip
    with recorder:
        try:
            built = _build(
                loaded,
                paths,
                recorder,
                settings=settings,
                locked=locked,
                no_cache=no_cache,
                upgrade=upgrade,
                cancel=cancel,
            )
        except KeyboardInterrupt:
            raise CancelledError("the build was cancelled", hint="build again: finished steps are kept") from None
        recorder.finish(built.image.digest)
    return built


def status(entry: Record, paths: Paths, *, builds: Sequence[history.BuildRecord] | None = None) -> Status:
    """How the environment *entry* stands: reads its spec, resolves nothing.

    *builds*: what :func:`~.history.list_builds` gave, for a caller that asks of many environments.
    """
    for build in history.list_builds(paths) if builds is None else builds:
        if build.name == entry.name and build.state == "running":
            return Status(state="building", build_id=build.id, phase=build.phase, percent=build.percent)
    if entry.image is None:
        return Status(state="not built")
    try:
        Store(paths.store).image(entry.image)
    except NotFoundError:
        return Status(state="broken", reason=f"the image {entry.image[:19]}… is not in the store any more")
    except ContainersError as error:
        return Status(state="broken", reason=error.message)
    if not entry.spec_file:
        return Status(state="ready")
    try:
        loaded = load_spec(Path(entry.spec_file))
        reason = _why_outdated(loaded, entry, paths)
    except ContainersError as error:
        return Status(state="broken", reason=error.message)
    return Status(state="out of date" if reason else "ready", reason=reason)


def _find_ready(loaded: LoadedSpec, paths: Paths) -> Built | None:
    try:
        entry = find_record(paths, loaded.spec.name)
        if not _is_of(entry, loaded) or entry.image is None or _why_outdated(loaded, entry, paths):
            return None
        return Built(loaded, Store(paths.store).image(entry.image), entry)
    except (NotFoundError, SpecError):
        return None  # what is wrong is told by the build that follows


def _why_outdated(loaded: LoadedSpec, entry: Record, paths: Paths) -> str:
    """Empty: the record's image is what a build would give now."""
    ready = _read_ready(paths, entry.name)
    if ready is None or ready.fingerprint != entry.spec_digest:
        return "it was built by an earlier version of this program" if entry.spec_digest else "it is not built yet"
    try:
        lock = loaded.lock_file.read_bytes()
    except FileNotFoundError:
        return f"{loaded.lock_file.name} is missing"
    if _fingerprint(loaded, lock, hash_paths(loaded, ready.inputs, _memory(paths))) == ready.fingerprint:
        return ""
    return "the spec, the lock, or a file that the build takes in has changed"


def _build(
    loaded: LoadedSpec,
    paths: Paths,
    recorder: history.Recorder,
    *,
    settings: Settings | None,
    locked: bool,
    no_cache: bool,
    upgrade: bool | frozenset[str],
    cancel: threading.Event | None,
) -> Built:
    from ..lock.file import write_lock
    from ..lock.settings import Settings
    from ..spec.inputs import find_missing_inputs
    from .builder import build

    problems = find_missing_inputs(loaded)
    if problems:
        raise SpecError("the build takes in files that are not there", problems=problems)
    location = _check_name(loaded, paths)
    settings = settings or Settings.current()
    lock = _find_lock(loaded, paths, settings, recorder, locked=locked, upgrade=upgrade)
    lock = msgspec.structs.replace(lock, inputs=hash_inputs(loaded, lock, _memory(paths)))
    if not locked:
        write_lock(loaded.lock_file, lock)
    image = build(
        loaded, lock, paths=paths, settings=settings, monitor=recorder, no_cache=no_cache, cancel=cancel,
        log=str(recorder.log),
    )  # fmt: skip
    inputs = {item.path: item.sha256 for item in lock.inputs}
    fingerprint = _fingerprint(loaded, loaded.lock_file.read_bytes(), inputs)
    spec = loaded.spec
    entry = Record(
        name=spec.name, display_name=spec.display_name or spec.name, language=spec.kernel.language,
        spec_file=location, image=image.digest, spec_digest=fingerprint, built_at=time.time(),
    )  # fmt: skip
    _write_ready(paths, spec.name, _Ready(fingerprint, input_paths(loaded, lock)))
    record(paths, entry)
    return Built(loaded, image, entry, recorder.id)


def _find_lock(
    loaded: LoadedSpec,
    paths: Paths,
    settings: Settings,
    recorder: history.Recorder,
    *,
    locked: bool,
    upgrade: bool | frozenset[str],
) -> Lock:
    """The lock beside the spec where it fits, else a new one."""
    from ..lock.file import read_lock
    from ..lock.resolve import check_lock, resolve
    from .emulation import host_architecture
    from .report import Reporter

    file, architecture = loaded.lock_file, host_architecture()
    previous = read_lock(file) if file.exists() else None
    if previous is None:
        reasons: tuple[str, ...] = (f"{file.name} does not exist",)
    else:
        reasons = check_lock(loaded, previous)
        known = set(previous.base.packages) or {architecture}
        if architecture not in known:
            reasons = (*reasons, f"it has no packages for {architecture}")
        if not reasons and not upgrade:
            return previous
    if locked and reasons:
        raise LockError(
            f"{file} does not fit the spec: {'; '.join(reasons)}",
            hint="run `jupyter containers lock`, or leave --locked out",
        )
    recorder(Event(kind="phase", phase="resolving", text="; ".join(reasons) or "upgrading"))
    reporter = Reporter(recorder)
    architectures = sorted({architecture, *(previous.base.packages if previous else ())})
    return resolve(
        loaded, paths=paths, settings=settings, previous=previous, upgrade=upgrade, architectures=architectures,
        progress=reporter.progress("resolving", "bytes"), warn=reporter.say,
    )  # fmt: skip


def _check_name(loaded: LoadedSpec, paths: Paths) -> str:
    """Where the spec is read from, for the record. Refused before any work where another spec has the name."""
    name = loaded.spec.name
    try:
        present: Record | None = find_record(paths, name)
    except NotFoundError:
        present = None
    location = spec_location(loaded, present)
    if present is not None and present.spec_file != location:
        record(paths, msgspec.structs.replace(present, spec_file=location))  # raises ConflictError
    return location


def spec_location(loaded: LoadedSpec, present: Record | None) -> str:
    """What the catalog has as ``spec_file``: the spec's folder, or the file of a spec that has one to itself."""
    if present is not None and _is_of(present, loaded):
        return present.spec_file
    # A folder may be made of several files of other tools (apt.txt beside requirements.txt).
    file = loaded.file
    return str(file if file is not None and not is_standard(file.name) else loaded.folder)


def _is_of(entry: Record, loaded: LoadedSpec) -> bool:
    if not entry.spec_file:
        return False
    path = Path(entry.spec_file)
    if loaded.file is not None and path == loaded.file:
        return True
    return path == loaded.folder and (loaded.file is None or is_standard(loaded.file.name))


def _fingerprint(loaded: LoadedSpec, lock: bytes, inputs: dict[str, str]) -> str:
    parts = [str(FORMAT).encode(), msgspec.json.encode(loaded.spec, order="sorted"), lock]
    parts.append(msgspec.json.encode(inputs, order="sorted"))
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return f"sha256:{hashlib.sha256(digests).hexdigest()}"


def _memory(paths: Paths) -> Path:
    return paths.store / "cache" / "inputs"


def _ready_file(paths: Paths, name: str) -> Path:
    return paths.store / "cache" / "ready" / f"{name}.json"


def _read_ready(paths: Paths, name: str) -> _Ready | None:
    try:
        return msgspec.json.decode(_ready_file(paths, name).read_bytes(), type=_Ready)
    except (OSError, msgspec.DecodeError):
        return None


def _write_ready(paths: Paths, name: str, ready: _Ready) -> None:
    file = _ready_file(paths, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{threading.get_ident()}")
    temporary.write_bytes(msgspec.json.encode(ready))
    temporary.replace(file)
