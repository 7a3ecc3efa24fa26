"""A spec to its lock: the base, what apt adds, and the Python packages, found at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ..errors import CancelledError, NotFoundError, ReferenceError, ResolutionError
from ..image.caches import use_caches
from ..paths import Paths
from ..spec.model import LoadedSpec
from ..spec.requirement import normalise_name
from .added import carry_added
from .asking import Source, UntoldError
from .fit import base_file, check_lock, host_architecture, spec_digest
from .model import Base, DebianPackage, Interpreter, Lock, PinnedImage, PythonPackages
from .settings import Settings

if TYPE_CHECKING:
    from .archive import Warn
    from .bases import Contents
    from .fetch import Fetcher, Progress
    from .sdists import SourceMetadata

__all__ = ["FromDockerfile", "archive_cache", "check_lock", "host_architecture", "resolve", "spec_digest", "uv_cache"]

_LIKELY_PYTHON = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
"""What uv may start with while the index, which decides, is on its way."""


def archive_cache(paths: Paths) -> Path:
    """The folder of the :class:`Fetcher`: .debs by hash, indexes."""
    return paths.store / "cache" / "archives"


def uv_cache(paths: Paths) -> Path:
    """uv's own cache folder."""
    return paths.store / "cache" / "uv"


def resolve(
    loaded: LoadedSpec,
    *,
    paths: Paths,
    settings: Settings,
    previous: Lock | None = None,
    upgrade: bool | frozenset[str] = False,
    architectures: Sequence[str] = (),
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    from_dockerfile: FromDockerfile | None = None,
    from_source: FromSource | None = None,
    anew: bool = False,
) -> Lock:
    """The lock of a spec.

    *previous*: the versions of an earlier lock are kept where they still fit and are still to be had; where the lock
    fits the spec as it is, it is returned without a question to the network. *upgrade*: names that are to move up,
    or True for all. *architectures* (Debian names; default: this machine's) are added to those of *previous*.
    *warn* is told what deserves a look but stops nothing. *anew*: the caller knows that *previous* does not fit.
    *from_dockerfile* builds the spec's Dockerfile: it is given the images that are to stay what they were, and gives
    the digest of the image, which is in the store and leased, and the images that it took in. *from_source* asks
    builds of sources what they need; without it those that don't tell are refused. Once *cancel* is set it
    ends at once, whatever it waits for.

    Raises :class:`CancelledError`, :class:`ResolutionError`, :class:`UnreachableError`, :class:`SignatureError`,
    :class:`SpecError`.
    """
    from .fetch import Fetcher, no_progress
    from .interruption import wait_for

    wanted = tuple(dict.fromkeys([*_architectures(previous), *(architectures or (host_architecture(),))]))
    if previous is not None and not (upgrade or anew):
        covered = set(wanted) <= set(_architectures(previous)) or previous.base.kind != "debian"
        if covered and not check_lock(loaded, previous, paths=paths):
            return previous
    _check_upgrade(loaded, previous, upgrade)
    stop = threading.Event()

    def tell(what: str, done: int, total: int) -> None:
        if stop.is_set():  # nobody listens any more
            raise CancelledError("the resolution was stopped")
        (progress or no_progress)(what, done, total)

    with use_caches(paths.store), Fetcher(archive_cache(paths), settings, stopped=stop) as fetcher:
        work = _Resolution(
            loaded, paths, fetcher, previous, upgrade, wanted, tell, warn or _ignore, from_dockerfile, from_source
        )
        try:
            lock = wait_for(work.run, stop=stop, cancel=cancel)
        except ResolutionError as error:
            from ..spec.places import find_place  # late: for mistakes only

            raise ResolutionError(f"{find_place(loaded, error.message)}: {error.message}", hint=error.hint) from error
    return carry_added(lock, previous, upgrade=upgrade)


FromDockerfile: TypeAlias = Callable[[Sequence[PinnedImage]], tuple[str, tuple[PinnedImage, ...]]]


FromSource: TypeAlias = (
    "Callable[[Base, dict[str, tuple[DebianPackage, ...]], Interpreter, Source, threading.Event], SourceMetadata]"
)
"""Asks a source's build, over the image of the first two, what it needs; the event ends it."""


class _Resolution:
    """One run of :func:`resolve`."""

    def __init__(
        self,
        loaded: LoadedSpec,
        paths: Paths,
        fetcher: Fetcher,
        previous: Lock | None,
        upgrade: bool | frozenset[str],
        architectures: tuple[str, ...],
        progress: Progress,
        warn: Warn,
        from_dockerfile: FromDockerfile | None,
        from_source: FromSource | None,
    ) -> None:
        self.from_dockerfile, self.from_source = from_dockerfile, from_source
        self.loaded, self.paths, self.fetcher, self.previous = loaded, paths, fetcher, previous
        self.upgrade, self.architectures, self.progress, self.warn = upgrade, architectures, progress, warn
        self.spec = loaded.spec

    def run(self) -> Lock:
        from .pip import wants_python

        kind, _, source = self.spec.origin.partition(":")
        wants = wants_python(self.spec, adopted=self.loaded.pylock is not None)
        if kind == "debian":
            return self._on_debian(source, wants)
        if kind in {"oci-archive", "oci"}:
            return self._on_image("oci", *self._load_image(), wants)
        if kind == "image":
            return self._on_named_image(source, wants)
        if kind == "dockerfile":
            return self._on_dockerfile(wants)
        if kind == "env":
            return self._on_environment(source, wants)
        if self.spec.base.startswith("scratch+"):
            return self._on_archive(wants)
        raise ResolutionError(
            f"base {self.spec.base!r} is of no known kind",
            hint="write debian:SUITE, image:NAME, oci-archive:PATH, oci:PATH, env:NAME or scratch+PATH",
        )

    def _on_debian(self, suite: str, wants: bool) -> Lock:
        from .debian import resolve_debian

        with ThreadPoolExecutor(1, "uv") as pool:
            guess = self._likely_python(suite) if wants and self.loaded.pylock is None else None
            early: Future[dict[str, Any]] | None = None
            if guess is not None:
                early = pool.submit(self._compile, guess)
            debian = resolve_debian(
                self.spec, suite, wants_python=wants, architectures=self.architectures, fetcher=self.fetcher,
                previous=self.previous, upgrade=self.upgrade, progress=self.progress, warn=self.warn,
            )  # fmt: skip
            python = None
            if debian.interpreter is not None:
                compiled = None
                if early is not None and debian.interpreter.version == guess:
                    with suppress(UntoldError):  # now that the base is known, who does not tell can be asked
                        compiled = early.result()
                python = self._python(debian.base, debian.apt, debian.interpreter, compiled)
        return self._lock(debian.base, debian.apt, python)

    def _on_image(
        self, kind: str, digest: str, contents: Contents, architecture: str, wants: bool,
        images: tuple[PinnedImage, ...] = (),
    ) -> Lock:  # fmt: skip
        self.architectures = (architecture,)
        base = Base(kind=kind, source=self.spec.origin, suite=contents.suite, digest=digest, images=images)
        return self._on_contents(base, contents, wants)

    def _on_named_image(self, name: str, wants: bool) -> Lock:
        from ..image.store import Store
        from .images import find_or_pull, find_pinned, pin_image

        store, pins = Store(self.paths.store), self._pins()
        with store.lease():
            if pins:
                (pinned,) = pins
                image = find_pinned(store, pinned, progress=self.progress, notify=self.warn)
            else:
                image = find_or_pull(
                    store, name, fresh=bool(self.upgrade), progress=self.progress, notify=self.warn
                )  # fmt: skip
                pinned = pin_image(image, name)
            return self._on_image("image", *self._look(image.digest), wants, images=(pinned,))

    def _on_dockerfile(self, wants: bool) -> Lock:
        if self.from_dockerfile is None:
            raise ResolutionError(
                f"{self.spec.build.dockerfile} has to be built to be locked", hint="`jupyter containers build` does so"
            )
        digest, images = self.from_dockerfile(self._pins())
        return self._on_image("dockerfile", *self._look(digest), wants, images=images)

    def _pins(self) -> tuple[PinnedImage, ...]:
        """The images that stay what they were."""
        if self.previous is None or self.upgrade is True or self.previous.base.source != self.spec.origin:
            return ()
        moved = self.upgrade or frozenset()
        return tuple(image for image in self.previous.base.images if image.name not in moved)

    def _on_contents(self, base: Base, contents: Contents, wants: bool, kept: Sequence[str] = ()) -> Lock:
        from .bases import pick_interpreter
        from .debian import add_packages

        packages = {}
        if self.spec.packages.apt:
            if not contents.suite or not contents.installed:
                raise ResolutionError(
                    f"packages.apt: {self.spec.origin} is {contents.name}, and packages are resolved for Debian only",
                    hint="install them with a `build.run` line, or take debian:trixie as base",
                )
            archive, date, added = add_packages(
                self.spec, contents.suite, contents.installed, architecture=self.architectures[0], fetcher=self.fetcher,
                previous=self.previous, upgrade=self.upgrade, progress=self.progress, warn=self.warn,
            )  # fmt: skip
            packages = {self.architectures[0]: added}
            base = msgspec.structs.replace(base, archive=archive, date=date)
        python = None
        if wants:
            interpreter = pick_interpreter(contents, self.spec.python, source=self.spec.origin)
            if base.kind in {"image", "dockerfile"}:
                interpreter = msgspec.structs.replace(interpreter, system_packages=True)
            python = self._python(base, packages, interpreter, None, kept)
        return self._lock(base, packages, python)

    def _on_environment(self, name: str, wants: bool) -> Lock:
        from ..spec.catalog import find_record

        try:
            record = find_record(self.paths, name)
        except NotFoundError as error:
            raise ResolutionError(f"base env:{name}: {error.message}", hint=error.hint) from error
        if record.image is None:
            raise ResolutionError(
                f"base env:{name} is not built yet", hint=f"`jupyter containers build {record.spec_file}`"
            )
        digest, contents, architecture = self._look(record.image)
        self.architectures = (architecture,)
        base = Base(kind="environment", source=self.spec.base, suite=contents.suite, digest=digest)
        return self._on_contents(base, contents, wants, self._kept(record.spec_file))

    def _on_archive(self, wants: bool) -> Lock:
        from .bases import digest_file, inspect_archive

        file = base_file(self.loaded, self.spec.base)
        contents = inspect_archive(file)
        found = contents.installed.get("base-files") or contents.installed.get("libc6")
        self.architectures = (found.architecture if found and found.architecture != "all" else host_architecture(),)
        base = Base(kind="scratch", source=self.spec.base, suite=contents.suite, digest=digest_file(file))
        return self._on_contents(base, contents, wants)

    def _load_image(self) -> tuple[str, Contents, str]:
        from ..image.layout import load
        from ..image.store import Store

        store = Store(self.paths.store)
        with store.lease():
            image = load(store, base_file(self.loaded, self.spec.base))
            return self._look(image.digest)

    def _look(self, digest: str) -> tuple[str, Contents, str]:
        """(digest, contents, architecture) of an image in the store."""
        from ..image.inside import exists_in_root, read_text_in_root
        from ..image.store import Store
        from .bases import inspect

        store = Store(self.paths.store)
        with store.lease([digest]):
            image = store.image(digest)
            layers = image.layer_paths

            def read(path: str) -> str | None:
                try:
                    return read_text_in_root(layers, path, 64 << 20)
                except NotFoundError:
                    return None

            contents = inspect(
                read, lambda path: exists_in_root(layers, path),
                path_variable=image.config.execution.environment.get("PATH", ""),
            )  # fmt: skip
            return image.digest, contents, image.config.architecture

    def _kept(self, spec_file: str) -> list[str]:
        """The Python packages of a base environment, as requirements: what it has stays, at its version."""
        from ..spec.load import load_spec
        from .file import read_lock

        lock_file = load_spec(Path(spec_file)).lock_file
        if not lock_file.exists():
            return []
        python = read_lock(lock_file).python
        packages = python.pylock.get("packages", ()) if python is not None else ()
        marked = ((package, package.get("marker")) for package in packages if "version" in package)
        return [f"{item['name']}=={item['version']}{f' ; {marker}' if marker else ''}" for item, marker in marked]

    def _python(
        self,
        base: Base,
        packages: dict[str, tuple[DebianPackage, ...]],
        interpreter: Interpreter,
        compiled: dict[str, Any] | None,
        kept: Sequence[str] = (),
    ) -> PythonPackages:
        from .pip import resolve_python

        from_source = self.from_source

        def ask(source: Source) -> SourceMetadata:
            assert from_source is not None
            return from_source(base, packages, interpreter, source, self.fetcher.stopped)

        return resolve_python(
            self.loaded, interpreter, cache_dir=uv_cache(self.paths), settings=self.fetcher.settings,
            architectures=self.architectures, previous=self._previous_python(interpreter.version),
            upgrade=self.upgrade, compiled=compiled, kept=kept, fetcher=self.fetcher, warn=self.warn,
            ask=ask if from_source is not None else None,
        )  # fmt: skip

    def _compile(self, version: str) -> dict[str, Any]:
        from .pip import compile_python

        return compile_python(
            self.loaded, version, cache_dir=uv_cache(self.paths), settings=self.fetcher.settings,
            architectures=self.architectures, previous=self._previous_python(version), upgrade=self.upgrade,
            fetcher=self.fetcher, warn=self.warn,
        )  # fmt: skip

    def _previous_python(self, version: str) -> PythonPackages | None:
        python = self.previous.python if self.previous is not None else None
        return python if python is not None and python.interpreter.version == version else None

    def _likely_python(self, suite: str) -> str | None:
        if (
            self.previous is not None
            and self.previous.python is not None
            and self.previous.base.source == self.spec.base
        ):
            return self.previous.python.interpreter.version
        return _LIKELY_PYTHON.get(suite)

    def _lock(self, base: Base, packages: dict[str, Any], python: PythonPackages | None) -> Lock:
        inputs = self.previous.inputs if self.previous is not None else ()
        return Lock(spec_digest=spec_digest(self.loaded), base=base, apt=packages, python=python, inputs=inputs)


def _architectures(lock: Lock | None) -> tuple[str, ...]:
    return tuple(lock.base.packages) if lock is not None else ()


def _check_upgrade(loaded: LoadedSpec, previous: Lock | None, upgrade: bool | frozenset[str]) -> None:
    """A name that is nowhere in the lock is a mistake to be told, not one to pass over."""
    if isinstance(upgrade, bool) or previous is None:
        return
    known = {
        package.name
        for table in (previous.base.packages, previous.apt)
        for group in table.values()
        for package in group
    }
    known |= {image.name for image in previous.base.images}
    if previous.python is not None:
        known |= {package["name"] for package in previous.python.pylock.get("packages", ())}
    unknown = sorted(name for name in upgrade if name not in known and normalise_name(name) not in known)
    if unknown:
        raise ReferenceError(
            f"{loaded.lock_file.name} has no package {', '.join(unknown)} to upgrade",
            hint="`jupyter containers lock` adds what the spec names; --upgrade moves what is locked",
        )


def _ignore(message: str) -> None:
    """For callers that listen to no warnings."""
