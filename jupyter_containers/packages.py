"""Python packages of environments: found in an index, added and taken away. What :class:`.Environments` hands on to.

Adding changes the spec's file, as the user has it, and the lock; builds, which makes one small layer; and puts the same
files into a kernel that runs. It is the user's word for these packages and for nothing else: where the spec or the lock
beside it were changed since the user's last build, by whomever, that has to be looked at and built first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .edited import Edited
from .errors import ConflictError
from .jobs import Control
from .lock.compare import LockedPackage, Moved, PackageChanges
from .spec.catalog import Record, list_records, record
from .spec.load import load_spec

if TYPE_CHECKING:
    from .build.ensure import Built
    from .directory import Directory
    from .image.store import Store
    from .jobs import Jobs
    from .lock.model import Lock
    from .lock.search import Package, PackageIndex, SearchResult
    from .runtime.base import Container
    from .views import JobView

__all__ = ["Changed", "Packages"]

_LOCKED = re.compile(r'^\[\[python\.packages\]\]\nname = "([^"\n]+)"', re.MULTILINE)
_LARGEST = 8 << 20


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of adding or removing packages."""

    requirements: tuple[str, ...]
    """Those that have changed the spec's file."""
    packages: tuple[LockedPackage, ...] = ()
    """That are new: those that were asked for and what they need."""
    changed: tuple[Moved, ...] = ()
    removed: tuple[LockedPackage, ...] = ()
    restart: tuple[str, ...] = ()
    """Packages that a kernel which runs gets with its restart: it may have another version of them in use."""
    image: str = ""
    """Digest of the image that has them; empty: the environment is not built yet."""


class Packages:
    """Search in the host's Python index, and the packages of environments.

    :param container: finds a container, as :meth:`.Environments.container`.
    :param build: builds an environment by its name, as an automatic build.
    """

    def __init__(
        self,
        directory: Directory,
        store: Store,
        jobs: Jobs,
        *,
        container: Callable[[str], Container],
        build: Callable[..., Built],
    ) -> None:
        self.paths, self._directory, self._store, self._jobs = directory.paths, directory, store, jobs
        self._container, self._build = container, build

    @cached_property
    def index(self) -> PackageIndex:
        """The indexes that this host's packages come from, where a spec says nothing else."""
        from .lock.indexes import index_urls
        from .lock.search import PackageIndex
        from .lock.settings import Settings
        from .spec.model import Packages as Asked

        folder = self.paths.store / "cache" / "names"
        return PackageIndex(index_urls(Asked()), folder, Settings.current(), known=self._known)

    def search(self, text: str, *, most: int = 20) -> SearchResult:
        """See :meth:`.PackageIndex.search`."""
        return self.index.search(text, most=most)

    def find(self, name: str) -> Package:
        """See :meth:`.PackageIndex.find`."""
        return self.index.find(name)

    def start_names(self) -> JobView:
        """Fetch the index's list of all names, so that a part of a name finds packages; as a job."""

        def work(control: Control) -> dict[str, object]:
            control.progress(f"names of {self.index.source}", 0, 0)
            return {"names": self.index.fetch_names(cancel=control.cancel), "source": self.index.source}

        return self._jobs.start("names", "Fetch the names of all packages", work, alone="names")

    # Environments

    def add(
        self, name: str, packages: Sequence[str], *, container: str = "", control: Control | None = None
    ) -> Changed:
        """Add requirements to the environment *name*, and to the running *container* of it.

        An environment that is not built yet has only its spec changed. Where the build fails the spec and the lock are
        what they were. Raises :class:`SpecError` (the file, or a requirement), :class:`InputError` (changed since the
        last build), :class:`ConflictError` (the container), and what locking and building raise.
        """
        return self._change(name, container=container, control=control or Control.silent(), add=packages)

    def remove(self, name: str, packages: Sequence[str], *, control: Control | None = None) -> Changed:
        """Take requirements out of the environment *name*; containers that run keep what they have."""
        return self._change(name, control=control or Control.silent(), remove=packages)

    def start_add(self, name: str, packages: Sequence[str], *, container: str = "") -> JobView:
        """:meth:`add` as a job."""

        def work(control: Control) -> dict[str, object]:
            changed = self.add(name, packages, container=container, control=control)
            return {**msgspec.to_builtins(changed), "container": container or None}

        return self._start("add", f"Add {', '.join(packages)} to {name}", name, container, work)

    def start_remove(self, name: str, packages: Sequence[str]) -> JobView:
        """:meth:`remove` as a job."""

        def work(control: Control) -> dict[str, object]:
            return dict(msgspec.to_builtins(self.remove(name, packages, control=control)))

        return self._start("remove", f"Remove {', '.join(packages)} from {name}", name, "", work)

    def _start(
        self, kind: str, title: str, name: str, container: str, work: Callable[[Control], dict[str, object]]
    ) -> JobView:
        entry = self._directory.find(name)  # its errors, and the container's, are the caller's
        if container:
            self._running(entry, container)
        return self._jobs.start(kind, title[:200], work, alone=f"packages of {name}")

    def _change(
        self, name: str, *, container: str = "", control: Control, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Changed:
        from .build.state import is_of
        from .spec.edit import edit_packages

        entry = self._directory.find(name)
        running = self._running(entry, container) if container else None
        file = Edited.of(entry, self.paths)
        text, changed = edit_packages(file.path.name, file.text, add=add, remove=remove)
        if entry.image is None or not is_of(entry, file.loaded):
            file.write(text)
            return Changed(requirements=changed)
        control.progress("finding versions", 0, 0)
        lock = self._relock(entry, file, text, control) if changed else None
        image = entry.image
        if lock is not None:
            try:
                image = self._build(entry.name, monitor=control.follow, cancel=control.cancel).image.digest
            except BaseException:
                file.restore()
                record(self.paths, entry)
                raise
        inserted: PackageChanges | None = None
        restart: tuple[str, ...] = ()
        if running is not None:
            control.progress("into the running container", 0, 0)
            inserted, restart = self._insert(entry.name, running, control)
            restart = tuple(sorted({*restart, *(item.name for item in file.changes.changed)}))
        changes = inserted or file.changes
        return Changed(
            requirements=changed, packages=changes.added, changed=changes.changed, removed=changes.removed,
            restart=restart, image=image,
        )  # fmt: skip

    def _relock(self, entry: Record, file: Edited, text: str, control: Control) -> Lock:
        """Find the versions for the new *text*, and write both down with the user's word for what is new."""
        from .build.consent import agree_to_packages, check_unchanged
        from .build.ensure import with_inputs
        from .build.locking import make_lock
        from .build.naming import known_as
        from .lock.added import note_added
        from .lock.compare import compare
        from .lock.file import dump_lock
        from .lock.fit import host_architecture
        from .lock.settings import Settings
        from .spec.load import load_text

        check_unchanged(entry, file.loaded, file.lock_bytes)
        loaded = known_as(load_text(text, file.path.parent, file.path.name), self.paths)
        previous = file.lock
        lock = make_lock(
            loaded, paths=self.paths, settings=Settings.current(), previous=previous, progress=control.progress,
            warn=control.say, cancel=control.cancel,
        )  # fmt: skip
        architecture = host_architecture()
        if previous is not None:
            lock = note_added(lock, previous)
            file.changes = compare(previous, lock, architecture)
        lock = with_inputs(loaded, lock, self.paths)
        content = dump_lock(lock).encode()
        new: list[LockedPackage | Moved] = [*file.changes.added, *file.changes.changed]
        names = {item.name for item in new if item.kind == "python"}
        granted = agree_to_packages(entry, loaded, lock, content, names, architecture)
        file.write(text, lock)
        record(self.paths, msgspec.structs.replace(entry, granted=granted))
        return lock

    def _running(self, entry: Record, reference: str) -> Container:
        """The running container *reference*, which is one of the environment *entry*."""
        container = self._container(reference)
        state = container.state()
        if state.status != "running":
            raise ConflictError(f"container {state.name} is not running")
        if state.image_name != entry.name:
            raise ConflictError(
                f"container {state.name} is one of {state.image_name}, and not of {entry.name}",
                hint="name the environment that it is one of",
            )
        return container

    def _insert(self, name: str, container: Container, control: Control) -> tuple[PackageChanges, tuple[str, ...]]:
        """Put what the environment has and *container*'s image has not into it; what that is, and what has to wait for
        a restart."""
        from .build.kept import read_kept
        from .build.plan import plan
        from .build.python import find_trees
        from .image.caches import use_caches
        from .lock.compare import compare
        from .lock.file import read_lock
        from .lock.fit import host_architecture
        from .runtime.insertion import insert_packages

        loaded = load_spec(Path(self._directory.find(name).spec_file))
        lock = read_lock(loaded.lock_file)
        kept = read_kept(self._store, container.config.image)
        if kept is None or kept.lock.python is None or lock.python is None:
            raise ConflictError(
                f"what container {container.config.name} is made of is not known", hint="restart the kernel"
            )
        interpreter = kept.lock.python.interpreter
        if interpreter != lock.python.interpreter:
            raise ConflictError(f"{name} has another Python by now", hint="restart the kernel")
        architecture = host_architecture()
        changes = compare(kept.lock, lock, architecture)
        new: list[LockedPackage | Moved] = [*changes.added, *changes.changed]
        python = [item.name for item in new if item.kind == "python"]
        debian = [item.name for item in new if item.kind == "debian"]
        with use_caches(self.paths.store):
            trees, missing = find_trees(plan(loaded, lock, architecture), python, self._store)
            if trees:
                insert_packages(
                    container, trees, python=f"{interpreter.environment}/bin/python",
                    environment=interpreter.environment,
                    packages=f"{interpreter.environment}/lib/python{interpreter.version}/site-packages",
replaced=[name for name in python if name not in missing],
                    cancel=control.cancel,
                )  # fmt: skip
        replaced = [item.name for item in changes.changed if item.kind == "python"]
        return changes, tuple(sorted({*replaced, *missing, *debian}))

    def _known(self) -> Iterator[str]:
        """Packages of the user's own locks, then those of well-known imports."""
        from .spec.imports import known_distributions

        for entry in list_records(self.paths):
            place = Path(entry.spec_file)
            lock = place / "jupyter-container.lock" if place.is_dir() else Path(f"{place}.jupyter-container.lock")
            try:
                with lock.open(encoding="utf-8", errors="replace") as stream:
                    yield from _LOCKED.findall(stream.read(_LARGEST))
            except OSError:
                continue
        yield from known_distributions()
