"""From a spec to a built environment, doing only what is left to do: the front door of this room.

Nothing heavy is imported before it is known that there is work: a build with nothing changed reads the spec, hashes
the lock's bytes and looks at the inputs' times.
"""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import CancelledError, LockError, NotFoundError, SpecError
from ..image.durable import full_disk_told
from ..image.model import Image
from ..image.store import Store
from ..paths import Paths
from ..spec.catalog import Record, find_record, record
from ..spec.grants import agree_again, check_granted
from ..spec.load import load_spec
from ..spec.model import LoadedSpec
from . import history
from .inputs import hash_inputs
from .monitor import Event, Monitor, silent
from .naming import known_as
from .state import find_outdated, input_memory, is_of, spec_location

if TYPE_CHECKING:
    from ..lock.model import Lock
    from ..lock.settings import Settings
    from .consent import Consent

__all__ = ["Built", "ensure_built", "with_inputs"]


class Built(msgspec.Struct, frozen=True, dict=True):
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
    automatic: bool = False,
    name: str = "",
) -> Built:
    """The environment of *spec*, locked, built and known by its name.

    The lock is written beside the spec where it is missing or outdated; with *locked* that is a :class:`LockError`.
    *upgrade* takes newest versions: of all packages, or of those named. *build_id*: log under this id, made by
    :func:`~.history.new_build_id`. *name*: know it by this name from now on, and not by the spec's own. With nothing
    changed since the last build nothing is done and no build is logged.
    A build is the user's word for all that the spec takes of the host, unless it is *automatic*: then what goes beyond
    the user's last build is an :class:`InputError` (:mod:`.consent`).

    Raises what reading, resolving and building raise; the build's folder keeps the error as well.
    """
    loaded = known_as(spec if isinstance(spec, LoadedSpec) else load_spec(spec), paths, name=name)
    if automatic:
        check_granted(_own_record(loaded, paths), loaded)
    if not (no_cache or upgrade):
        present = _find_ready(loaded, paths, automatic=automatic)
        if present is not None:
            return present
    recorder = history.Recorder(
        paths, build_id=build_id or history.new_build_id(), name=loaded.spec.name,
        spec_file=spec_location(loaded, None), monitor=monitor,
    )  # fmt: skip
    with full_disk_told(paths.home), recorder:
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
                automatic=automatic,
            )
        except KeyboardInterrupt:
            raise CancelledError("the build was cancelled", hint="build again: finished steps are kept") from None
        recorder.finish(built.image.digest)
    return built


def _find_ready(loaded: LoadedSpec, paths: Paths, *, automatic: bool) -> Built | None:
    try:
        entry = _own_record(loaded, paths)
        if entry is None or entry.image is None or find_outdated(loaded, entry, paths):
            return None
        image = Store(paths.store).image(entry.image)
        if not automatic:
            agreed = agree_again(entry, loaded)
            if entry.granted != agreed:  # mounts and network change nothing of the image
                entry = msgspec.structs.replace(entry, granted=agreed)
                record(paths, entry)
        return Built(loaded, image, entry)
    except (NotFoundError, SpecError):
        return None  # what is wrong is told by the build that follows


def _own_record(loaded: LoadedSpec, paths: Paths) -> Record | None:
    """The record of this very spec; None where there is none, or the name is of another one."""
    try:
        entry = find_record(paths, loaded.spec.name)
    except NotFoundError:
        return None
    return entry if is_of(entry, loaded) else None


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
    automatic: bool,
) -> Built:
    from ..image.gc import sweep
    from ..lock.file import dump_lock, write_lock
    from ..lock.settings import Settings
    from ..spec.inputs import find_missing_inputs
    from .builder import build
    from .consent import Consent
    from .kept import settle

    sweep(Store(paths.store))  # a build that was killed leaves up to the size of its step
    problems = find_missing_inputs(loaded)
    if problems:
        raise SpecError("the build takes in files that are not there", problems=problems)
    consent = Consent(loaded, _own_record(loaded, paths), Store(paths.store), automatic=automatic)
    consent.check_dockerfile()
    location = _check_name(loaded, paths)
    settings = settings or Settings.current()
    lock = _find_lock(
        loaded, paths, settings, recorder, locked=locked, upgrade=upgrade, cancel=cancel,
        consent=consent,
    )  # fmt: skip
    lock = with_inputs(loaded, lock, paths)
    content = dump_lock(lock).encode()
    if locked:
        content = loaded.lock_file.read_bytes()
    else:
        write_lock(loaded.lock_file, lock)
    image = build(
        loaded, lock, paths=paths, settings=settings, monitor=recorder, no_cache=no_cache, cancel=cancel,
        log=str(recorder.log), on_plan=consent.check_code,
    )  # fmt: skip
    entry = settle(loaded, lock, image, paths, location=location, content=content, granted=consent.agreed(content))
    return Built(loaded, image, entry, recorder.id)


def with_inputs(loaded: LoadedSpec, lock: Lock, paths: Paths) -> Lock:
    """*lock* with the hashes of the files that the build takes in as they are now: what is written beside the spec."""
    return msgspec.structs.replace(lock, inputs=hash_inputs(loaded, lock, input_memory(paths)))


def _find_lock(
    loaded: LoadedSpec,
    paths: Paths,
    settings: Settings,
    recorder: history.Recorder,
    *,
    locked: bool,
    upgrade: bool | frozenset[str],
    cancel: threading.Event | None,
    consent: Consent,
) -> Lock:
    """The lock beside the spec where it fits, else a new one."""
    from ..lock.file import parse_lock, read_content
    from .emulation import host_architecture
    from .locking import find_reasons, make_lock
    from .report import Reporter

    file, architecture = loaded.lock_file, host_architecture()
    content = read_content(file)
    consent.check_lock(content)
    previous = parse_lock(content, str(file)) if content is not None else None
    if previous is None:
        reasons: tuple[str, ...] = (f"{file.name} does not exist",)
    else:
        reasons = find_reasons(loaded, previous, paths=paths)
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
    consent.check_resolution()
    recorder(Event(kind="phase", phase="resolving", text="; ".join(reasons) or "upgrading"))
    reporter = Reporter(recorder)
    architectures = sorted({architecture, *(previous.base.packages if previous else ())})
    return make_lock(
        loaded, paths=paths, settings=settings, previous=previous, upgrade=upgrade, architectures=architectures,
        progress=reporter.progress("resolving", "bytes"), warn=reporter.say, monitor=recorder, cancel=cancel,
        log=str(recorder.log), ask=consent.may_ask,
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
