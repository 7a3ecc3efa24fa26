"""What a source needs that does not say it: asked of its own build (PEP 517), before there is a lock.

That runs the package's code, as building it would: over the base and the Debian packages that are locked already, with
its build requirements fetched before and no network (:mod:`.aside`, :mod:`.isolation`). The steps that this takes are
those of the image that is built next. An answer is kept by what was asked.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..errors import ArchiveError, BuildError
from ..image.durable import write_atomically
from ..image.store import Store
from ..lock.asking import Source
from ..lock.fetch import Fetcher
from ..lock.model import Base, DebianPackage, Interpreter, Lock
from ..lock.resolve import FromSource, archive_cache
from ..lock.sdists import SourceMetadata, parse_metadata
from ..lock.settings import Settings
from ..paths import Paths
from ..sandbox.model import Bind
from ..spec.model import Build, LoadedSpec
from .aside import OUTPUT, SOURCE, run_aside, unpack, writable
from .base import find_image
from .bounds import read_bounds
from .context import Context, State
from .downloads import Downloads
from .emulation import ENVIRONMENT, host_architecture
from .inputs import source_path
from .isolation import ASKED, PLACE, Backend, make_build_environment, read_asked, read_backend
from .monitor import Monitor
from .plan import PythonStep, Step, plan
from .python import missing_artifacts
from .report import Reporter, told_endings
from .repositories import clone, split_vcs
from .sources import copy_tree
from .taking import take
from .tree import Tree

__all__ = ["make_asker"]

_METADATA = "METADATA"
_LARGEST = 1 << 20

_ASK = """
import importlib, json, os, shutil, sys, zipfile
source, output, asked, more, result, name, *path = sys.argv[1:]
os.chdir(source)
sys.path[:0] = [os.path.abspath(item) for item in path]
module, _, rest = name.partition(":")
backend = importlib.import_module(module)
for part in rest.split(".") if rest else ():
    backend = getattr(backend, part)
if more:
    found = getattr(backend, "get_requires_for_build_wheel", lambda settings: [])({})
    if found:
        with open(os.path.join(output, asked), "w") as stream:
            json.dump([str(item) for item in found], stream)
        sys.exit(0)
target = os.path.join(output, result)
if hasattr(backend, "prepare_metadata_for_build_wheel"):
    folder = backend.prepare_metadata_for_build_wheel(output, {})
    shutil.copyfile(os.path.join(output, folder, result), target)
else:
    with zipfile.ZipFile(os.path.join(output, backend.build_wheel(output, {}))) as wheel:
        (member,) = [item for item in wheel.namelist() if item.endswith(".dist-info/" + result)]
        with open(target, "wb") as stream:
            stream.write(wheel.read(member))
"""
"""PEP 517: ask the backend what it needs besides (*more*), and where that is nothing, for the metadata."""


def make_asker(loaded: LoadedSpec, *, paths: Paths, settings: Settings, monitor: Monitor, log: str) -> FromSource:
    """What :func:`..lock.resolve.resolve` asks by. Errors are those of a build, and :class:`BuildError` for a source
    whose build does not tell either."""

    def ask(
        base: Base,
        packages: dict[str, tuple[DebianPackage, ...]],
        interpreter: Interpreter,
        source: Source,
        cancel: threading.Event,
    ) -> SourceMetadata:
        store = Store(paths.store)
        lock = Lock(spec_digest="", base=base, apt=packages, python=None)
        with (
            told_endings(cancel, paths.store),
            store.lease(),
            Downloads(Fetcher(archive_cache(paths), settings), loaded.folder) as downloads,
        ):
            asking = _Asking(loaded, settings, store, downloads, lock, interpreter, monitor, log, cancel)
            return asking.run(source)

    return ask


class _Asking:
    """One question."""

    def __init__(
        self,
        loaded: LoadedSpec,
        settings: Settings,
        store: Store,
        downloads: Downloads,
        lock: Lock,
        interpreter: Interpreter,
        monitor: Monitor,
        log: str,
        cancel: threading.Event,
    ) -> None:
        self._loaded, self._settings, self._store, self._downloads = loaded, settings, store, downloads
        self._lock, self._interpreter, self._cancel = lock, interpreter, cancel
        self._monitor, self._log = monitor, log

    def run(self, source: Source) -> SourceMetadata:
        with self._store.staging() as staging:
            folder = staging.path / "source"
            folder.mkdir()
            context = self._context(source)
            fill, mark = self._take(source, folder, context)
            file = self._answer_file(mark)
            known = _read_answer(file)
            if known is not None:
                return known
            self._take_steps(context)
            inside = fill()
            found = self._ask(source, folder, inside, staging.path, context)
            write_atomically(file, msgspec.json.encode(found))
            return found

    def _context(self, source: Source) -> Context:
        told = Reporter(self._monitor, title=f"asking {source.title} what it needs", log=self._log)
        image = self._store.image(self._lock.base.digest) if self._lock.base.kind == "dockerfile" else None
        image = image or find_image(self._loaded, self._lock.base, self._store, told)
        return Context(
            loaded=self._loaded, settings=self._settings, store=self._store, downloads=self._downloads,
            state=State(base=image), bounds=read_bounds(os.environ), reporter=told, cancel=self._cancel,
            architecture=image.config.architecture if image else host_architecture(),
        )  # fmt: skip

    def _take(self, source: Source, folder: Path, context: Context) -> tuple[Callable[[], str], str]:
        """What fills *folder* and gives the package's place in it, and a mark of the content; archives are unpacked by
        the image's Python, so only once there is one."""
        if source.kind == "sdist":
            file = Path(source.place)
            with file.open("rb") as stream:
                mark = hashlib.file_digest(stream, "sha256").hexdigest()
            path = self._interpreter.path
            return functools.partial(unpack, file, source.filename, folder, path, context), mark
        if source.kind == "directory":
            relative = os.path.relpath(source.place, self._loaded.folder)
            mark = copy_tree(source_path(self._loaded, relative), folder, without=self._loaded.lock_file)
            return lambda: "", mark
        address = source.place if "@" in source.place.rpartition("/")[2] else _with_head(source.place)
        repository, revision, inside = split_vcs(address)
        return lambda: inside, clone(repository, "" if revision == _HEAD else revision, folder, context) + inside

    def _answer_file(self, mark: str) -> Path:
        base = self._lock.base
        parts = [mark, self._interpreter.full_version, base.kind, base.suite, base.digest]
        return self._store.cache_dir("asked") / f"{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:40]}.json"

    def _take_steps(self, context: Context) -> None:
        """The image as far as it is locked."""
        plain = msgspec.structs.replace(
            self._loaded, spec=msgspec.structs.replace(self._loaded.spec, build=Build())
        )  # fmt: skip

        def reporter(step: Step) -> Reporter:
            return Reporter(self._monitor, title=step.title, step_id=step.id, log=self._log)

        steps = plan(plain, self._lock, context.architecture)
        missing = [step for step in steps if self._store.step(step.id) is None]
        context.downloads.begin(missing, self._store, reporter, missing_artifacts)
        for step in steps:
            take(step, _with_reporter(context, reporter(step)), no_cache=False)

    def _ask(self, source: Source, folder: Path, inside: str, staging: Path, context: Context) -> SourceMetadata:
        label, output, environment = source.title, staging / "output", staging / "environment"
        output.mkdir()
        backend = read_backend(folder / inside, label)
        step = PythonStep(
            id="", title=context.reporter.title, interpreter=self._interpreter, interpreter_key="",
            architecture=context.architecture, artifacts=(),
        )  # fmt: skip
        for more in (True, False):
            requires = backend.requires if more else (*backend.requires, *read_asked(output, label))
            make_build_environment(requires, environment, step, context, label=label)
            self._run(backend, folder, inside, output, environment, context, label=label, more=more)
            with Tree(output) as tree:
                content = tree.read(_METADATA, _LARGEST)
            if content is not None:
                return _parsed(content, label, source)
        raise BuildError(f"{label}: its build gave no metadata", hint="take a version that has a wheel")

    def _run(
        self, backend: Backend, folder: Path, inside: str, output: Path, environment: Path, context: Context, *,
        label: str, more: bool,
    ) -> None:  # fmt: skip
        place = f"{SOURCE}/{inside}" if inside else SOURCE
        argv = (f"{PLACE}/bin/python", "-c", _ASK, place, OUTPUT, ASKED, "1" if more else "", _METADATA)
        env = {"PATH": f"{PLACE}/bin:{ENVIRONMENT['PATH']}", "VIRTUAL_ENV": PLACE}
        binds = (writable(folder, SOURCE), writable(output, OUTPUT), Bind(environment, PLACE))
        command = f"ask {label} what it needs"
        run_aside((*argv, backend.name, *backend.path), context, command, binds=binds, env=env)


_HEAD = "HEAD"


def _with_head(address: str) -> str:
    bare, mark, fragment = address.partition("#")
    return f"{bare}@{_HEAD}{mark}{fragment}"


def _with_reporter(context: Context, reporter: Reporter) -> Context:
    import dataclasses

    return dataclasses.replace(context, reporter=reporter)


def _parsed(content: bytes, label: str, source: Source) -> SourceMetadata:
    try:
        return parse_metadata(content.decode("utf-8", "replace"), f"the build of {label}")
    except ArchiveError as error:
        raise BuildError(f"{source.place}: {error.message}", hint=error.hint) from error


def _read_answer(file: Path) -> SourceMetadata | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=SourceMetadata)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
