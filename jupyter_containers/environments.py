"""The front door: what ``cli/`` and ``server/`` call, and nothing below it.

:class:`Environments` joins the rooms (spec, lock, build, image, runtime, kernels) and answers in :mod:`.views`.
Every method may be called from any thread. Those that touch the disk, a process or the network block; the server
calls them from a thread pool. Errors are those of :mod:`.errors`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .build.monitor import Event, Monitor, silent
from .builds import Builder, Builds
from .directory import Directory
from .errors import BuildError, ConflictError, ContainersError, InputError, NotFoundError
from .jobs import Jobs
from .paths import Paths
from .spec.catalog import Record, find_record, list_records, record
from .spec.catalog import forget as forget_record
from .views import (
    BuildView,
    EnvironmentView,
    EventPage,
    Resolved,
)

if TYPE_CHECKING:
    from .adoption import Adoption
    from .attestations import Attestations
    from .build.dockerfile.logged import BuiltDockerfile, Request
    from .build.ensure import Built
    from .bundles import Bundles
    from .carrying import Carrying
    from .exports import Exports
    from .files import Files
    from .image.store import Store
    from .overview import Overview
    from .packages import Packages
    from .runtime.base import Container, ContainerState, Meter, Runtime
    from .sandbox.probe import Finding
    from .shipping import Shipping
    from .spec.model import LoadedSpec
    from .specs import Specs
    from .starts import Starts
    from .storage import Storage
    from .transfers import Transfers
    from .views import JobView

__all__ = ["Environments"]


class Environments:
    """The environments, builds, images and containers of one user.

    :param paths: folders to work in; None: :meth:`.Paths.current`.
    :param runtime: what runs containers; None: the bundled runtime.
    :param root: a folder whose specs are offered beside the environments that are known, as a launcher does.
    :param builder: what builds; None: :func:`.build.ensure.ensure_built`.
    :param max_builds: builds at work at once in this process; more wait their turn.
    :param on_build: called with a build's view, from its thread, when a started build begins and ends.

    :param on_job: the same for jobs (:mod:`.jobs`).

    It is its own context manager: at the end its jobs and builds are cancelled (their finished steps are kept).
    """

    def __init__(
        self,
        paths: Paths | None = None,
        runtime: Runtime | None = None,
        *,
        root: Path | None = None,
        builder: Builder | None = None,
        max_builds: int = 2,
        on_build: Callable[[BuildView], None] = lambda view: None,
        on_job: Callable[[JobView], None] = lambda view: None,
    ) -> None:
        self.paths = paths or Paths.current()
        self.directory = Directory(self.paths, root)
        self._builder = builder
        self._runtime = runtime
        self._store: Store | None = None
        self._guard = threading.Lock()
        self._builds = Builds(self.paths, self._build_loaded, limit=max_builds, on_change=on_build)
        self.jobs = Jobs(on_change=on_job)

    def __enter__(self) -> Environments:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self, *, patience: float = 10.0) -> None:
        """Cancel the builds and jobs that were started here, and wait until they have stopped, *patience* seconds at
        most."""
        end = time.monotonic() + patience
        self._builds.close(patience=patience)
        self.jobs.close(patience=max(0.0, end - time.monotonic()))

    @property
    def building(self) -> bool:
        """Whether a build or a job that was started here waits or is at work."""
        return self._builds.busy or self.jobs.busy

    # What it stands on

    @property
    def store(self) -> Store:
        with self._guard:
            if self._store is None:
                from .image.store import Store

                self._store = Store(self.paths.store)
            return self._store

    @property
    def runtime(self) -> Runtime:
        if self._runtime is None:
            from .runtime.bundled import BundledRuntime

            made = BundledRuntime(self.paths, self.store)
            with self._guard:
                self._runtime = self._runtime or made
        return self._runtime

    @cached_property
    def shipping(self) -> Shipping:
        """Images to and from registries and files."""
        from .shipping import Shipping

        return Shipping(self.paths, self.store)

    @cached_property
    def storage(self) -> Storage:
        """What the store holds: images, what they take, and what can go."""
        from .storage import Storage

        return Storage(self.paths, self.store, self.shipping, resolve=self.resolve, containers=self._all_containers)

    @cached_property
    def specs(self) -> Specs:
        """The texts of specs."""
        from .specs import Specs

        return Specs(self.directory, add=self._add, store=lambda: self.store)

    @cached_property
    def files(self) -> Files:
        """Files of containers: copied, and made into images."""
        from .files import Files

        return Files(self.paths, self.store, self.shipping, container=self.container)

    @cached_property
    def attestations(self) -> Attestations:
        """What can be said of an image: its bill of materials, its provenance."""
        from .attestations import Attestations

        return Attestations(self.paths, self.store, resolve=self.resolve)

    @cached_property
    def bundles(self) -> Bundles:
        """Environments as files, for machines without a network."""
        from .bundles import Bundles

        return Bundles(self.paths, self.store, self.attestations, build=self.build, install=self._install_kernelspec)

    @cached_property
    def transfers(self) -> Transfers:
        """Images on their way, as jobs."""
        from .transfers import Transfers

        return Transfers(self.store, self.shipping, self.storage, self.files, self.jobs)

    @cached_property
    def packages(self) -> Packages:
        """Python packages: found in the index, added to environments and removed."""
        from .packages import Packages

        def build(name: str, **options: Any) -> Built:
            return self.build(name, kernelspec=False, automatic=True, **options)

        return Packages(self.directory, self.store, self.jobs, container=self.container, build=build)

    @cached_property
    def carrying(self) -> Carrying:
        """Environments in notebooks' metadata."""
        from .carrying import Carrying

        return Carrying(
            self.directory, self.store, self.shipping, self.jobs, add=self._add, build=self.build, forget=self.forget
        )

    @cached_property
    def exports(self) -> Exports:
        """Environments for other people's tools: Dockerfiles, devcontainer.json."""
        from .exports import Exports

        return Exports(self.paths, load=lambda reference: self._load(reference)[0])

    @cached_property
    def overview(self) -> Overview:
        """All of it at one look; remembers, for those who look again and again."""
        from .overview import Overview

        return Overview(self.directory, self.store, self._builds, lambda: self.runtime)

    @cached_property
    def starts(self) -> Starts:
        """How kernels start."""
        from .starts import Starts

        return Starts(self.paths, self.store, runtime=lambda: self.runtime)

    @cached_property
    def adoption(self) -> Adoption:
        """Images as environments, as they are."""
        from .adoption import Adoption

        return Adoption(self.paths, self.store, self.shipping, runtime=lambda: self.runtime)

    # Environments

    def list(self) -> tuple[EnvironmentView, ...]:
        """All environments, by name."""
        return self.overview.environments()

    def view(self, name: str) -> EnvironmentView:
        """One environment; :class:`NotFoundError`."""
        self.directory.find(name)
        return self.overview.environments([name])[0]

    def add(self, path: Path) -> EnvironmentView:
        """Make the spec of the folder or file *path* known by its name, without building it."""
        return self._add(self._read_spec(path))

    def forget(self, name: str, *, image: bool = False) -> Record:
        """Remove the environment's record and kernelspec, and with *image* its image too; the spec's file stays.

        :class:`ConflictError` while it is being built here or, with *image*, while there are containers of the image.
        """
        from .kernels import kernelspec
        from .kernels.injected import pin_name

        entry = find_record(self.paths, name)
        active = self._builds.active(name)
        if active is not None:
            raise ConflictError(f"{name} is being built (build {active})", hint=f"cancel the build {active} first")
        if image and entry.image is not None:
            self._remove_image(entry, entry.image)
        forget_record(self.paths, name)
        self.store.unpin(pin_name(name))
        kernelspec.remove(name, missing_ok=True)
        return entry

    def resolve(self, reference: str) -> Resolved:
        """The image that *reference* stands for: an environment's name, a path (it has a ``/``) of the spec of a
        known environment, or an image's digest or reference.

        :class:`NotFoundError`, also for an environment that is not built yet.
        """
        path = _path(reference)
        if "/" in reference and _exists(path):
            entry: Record | None = find_record(self.paths, self._read_spec(path).spec.name)
        else:
            entry = self.directory.get(reference)
        if entry is None:
            return Resolved(reference=reference, image=self.shipping.find(reference).digest)
        if entry.image is None:
            raise NotFoundError(
                f"the environment {entry.name} is not built yet", hint=f"`jupyter containers build {entry.name}`"
            )
        return Resolved(reference=reference, image=entry.image, environment=entry)

    # Builds

    def build(
        self, reference: str | Path, *, monitor: Monitor = silent, kernelspec: bool = True,
        cancel: threading.Event | None = None, **options: Any,
    ) -> Built:  # fmt: skip
        """Build the environment *reference* (a name, or a spec's path) in the calling thread.

        *options* are those of :func:`.build.ensure.ensure_built`: ``locked``, ``no_cache``, ``upgrade``, ``name``. With
        *kernelspec* a kernelspec is installed once the image is there.
        """
        loaded, _ = self._load(reference)
        return self._build_loaded(
            loaded, paths=self.paths, monitor=monitor, cancel=cancel, kernelspec=kernelspec, **options
        )

    def build_dockerfile(self, request: Request, **options: Any) -> BuiltDockerfile:
        """Build the image of a Dockerfile; *options* of :func:`.dockerfiles.build_dockerfile`."""
        from .dockerfiles import build_dockerfile

        return build_dockerfile(request, paths=self.paths, shipping=self.shipping, **options)

    def start_build(
        self, reference: str | Path, *, monitor: Monitor = silent, kernelspec: bool = True, **options: bool
    ) -> str:
        """The same in a thread; returns the build's id at once.

        The spec is read here and now, so that its errors are the caller's. :class:`ConflictError` where this
        process builds that environment already.
        """
        loaded, path = self._load(reference)
        return self._builds.start(loaded, path, monitor=monitor, kernelspec=kernelspec, **options)

    def cancel_build(self, build_id: str) -> BuildView:
        """Ask a build to stop; see :meth:`.Builds.cancel`."""
        return self._builds.cancel(build_id)

    def builds(self) -> tuple[BuildView, ...]:
        """Builds queued, at work and kept on disk, newest first."""
        return self._builds.list()

    def find_build(self, build_id: str) -> BuildView:
        """One build; :class:`NotFoundError`."""
        return self._builds.find(build_id)

    def build_log(self, build_id: str) -> str:
        """All output of a build as text (it may hold control characters); empty while it is queued, and for one that
        had nothing to do."""
        from .build import history

        view = self.find_build(build_id)
        try:
            return history.read_log(self.paths, view.id)
        except NotFoundError:
            return ""

    def follow(self, build_id: str) -> Iterator[Event]:
        """Every event of a build from its start, then as they come; ends with the build. Blocks in between."""
        from .build import history

        return history.follow(self.paths, build_id)

    def read_events(self, build_id: str, position: int = 0) -> EventPage:
        """The events after *position* (0, or a position of an earlier page) that are there now; does not wait."""
        return self._builds.read_events(build_id, position)

    # Containers

    def containers(self, *, all: bool = False) -> tuple[ContainerState, ...]:
        """Running ones, or all, newest first."""
        return self.runtime.list(all=all)

    def meter(self) -> Meter:
        """To measure containers with, again and again; whoever asks for it closes it."""
        return self.runtime.meter()

    def container(self, reference: str) -> Container:
        """By id, unambiguous id prefix, or name; :class:`NotFoundError`."""
        return self.runtime.find(reference)

    def create(self, reference: str, argv: Sequence[str], **config: Any) -> Container:
        """A container of what *reference* stands for, not started.

        *config*: fields of :class:`.runtime.base.ContainerConfig`.
        """
        from .runtime.base import ContainerConfig

        resolved = self.resolve(reference)
        name = resolved.environment.name if resolved.environment else reference
        return self.runtime.create(ContainerConfig(image=resolved.image, image_name=name, argv=tuple(argv), **config))

    def run(self, reference: str, argv: Sequence[str], **config: Any) -> Container:
        """A container as of :meth:`create`, started, with its output in its log."""
        container = self.create(reference, argv, **config)
        try:
            container.start()
        except BaseException:
            container.remove(force=True)
            raise
        return container

    def reap(self) -> tuple[str, ...]:
        """Remove what crashed owners left of their containers; returns the ids."""
        return self.runtime.reap()

    # The host

    def diagnose(self, *, archives: bool = True) -> tuple[Finding, ...]:
        """What this host can do, by trying it, and with *archives* whether they answer. Takes seconds."""
        from .diagnosis import diagnose

        return diagnose(self.paths, archives=archives)

    # Inside

    def _all_containers(self) -> tuple[ContainerState, ...]:
        return self.runtime.list(all=True)

    def _remove_image(self, entry: Record, digest: str) -> None:
        """Remove the image of *entry*, or only its name where another environment has the same image."""
        if any(other.image == digest and other.name != entry.name for other in list_records(self.paths)):
            self.store.untag(entry.name)
            return
        users = [state.name for state in self.runtime.list(all=True) if state.image == digest]
        if users:
            raise ConflictError(
                f"containers of {entry.name} are there: {', '.join(users)}",
                hint="`jupyter containers rm -f NAME` first",
            )
        with contextlib.suppress(NotFoundError):  # gone already
            self.store.remove_image(digest)

    def _record(self, name: str) -> Record | None:
        return next((entry for entry in list_records(self.paths) if entry.name == name), None)

    def _load(self, reference: str | Path) -> tuple[LoadedSpec, Path]:
        """The spec that *reference* names (a known environment's, else a file or folder), and its path."""
        path = _path(reference)
        if isinstance(reference, str) and "/" not in reference:
            entry = self.directory.get(reference)
            if entry is not None:
                path = Path(entry.spec_file)
            elif not reference or not _exists(path):
                find_record(self.paths, reference)  # raises, and names the ones that exist
        return self._read_spec(path), path

    def _read_spec(self, path: Path) -> LoadedSpec:
        """The spec in *path*, under the name by which it is known."""
        from .build.naming import known_as

        return known_as(_read_spec(path), self.paths)

    def _build_loaded(
        self, loaded: LoadedSpec, *, paths: Paths, monitor: Monitor, kernelspec: bool = True, **options: Any
    ) -> Built:
        builder = self._builder
        if builder is None:
            from .build.ensure import ensure_built

            builder = ensure_built
        built = builder(loaded, paths=paths, monitor=monitor, **options)
        if kernelspec:
            name = built.record.name
            try:
                self._install_kernelspec(name)
            except ContainersError as error:
                raise BuildError(
                    f"{name} is built, but its kernelspec is not installed: {error.message}", hint=error.hint
                ) from error
        return built

    def _install_kernelspec(self, name: str) -> None:
        from .kernels import kernelspec

        kernelspec.install(name, paths=self.paths)

    def _add(self, loaded: LoadedSpec) -> EnvironmentView:
        from .build.state import spec_location

        spec = loaded.spec
        present = self._record(spec.name)
        location = spec_location(loaded, present)
        entry = msgspec.structs.replace(
            present or Record(name=spec.name, display_name="", spec_file=location),
            display_name=spec.display_name or spec.name,
            language=spec.kernel.language,
            spec_file=location,
        )
        record(self.paths, entry)
        return self.view(spec.name)


def _path(reference: str | Path) -> Path:
    # Path.expanduser raises for a user that does not exist; this one leaves the name as it is.
    return Path(os.path.expanduser(reference)).absolute()  # noqa: PTH111


def _read_spec(path: Path) -> LoadedSpec:
    from .spec.load import load_spec

    try:
        path.stat()
    except FileNotFoundError:
        pass  # told below
    except (OSError, ValueError) as error:  # a name that is too long, a folder that is closed to us, a NUL
        raise InputError(f"{str(path)!r} can't be read: {getattr(error, 'strerror', error)}") from error
    return load_spec(path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
