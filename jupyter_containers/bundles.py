"""An environment as one file, for machines without a network: what :class:`.Environments` hands on to.

The file is an OCI archive. Its image has an artefact (:data:`.build.kept.ENVIRONMENT_TYPE`) with the spec, the lock and
the files that the build takes in; ``docs/sharing.md`` describes it. What is opened is untrusted.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, TypeAlias

from .errors import (
    ConflictError,
    ContainersError,
    InputError,
    NotFoundError,
    Problem,
    StoreError,
    UntrustedContentError,
)
from .image.durable import sync_file_system
from .paths import Paths
from .spec.files import NATIVE
from .spec.reading import LOCK_LIMIT, NOTEBOOK_LIMIT, TEXT_LIMIT

if TYPE_CHECKING:
    from .attestations import Attestations
    from .build.ensure import Built
    from .build.kept import Kept
    from .image.artifacts import Artifact, ArtifactManifest
    from .image.blobs import Compression
    from .image.bounds import Bounds
    from .image.enclosed import Enclosed
    from .image.model import Descriptor, Image
    from .image.progress import Progress
    from .image.store import Store
    from .lock.model import Lock
    from .spec.model import LoadedSpec

__all__ = ["Bundles", "Opened", "Shared", "Trust"]

_INPUTS_TYPE = "application/vnd.jupyter-containers.inputs.v1.tar+zstd"
_NOTEBOOK_TYPE = "application/x-ipynb+json"
_NAME = "org.jupyter-containers.name"
"""Annotation: the environment's name."""
_LARGEST_INPUTS = 16 << 30
_NOTEBOOK = r"[^/\0.][^/\0]*\.ipynb"

Trust: TypeAlias = Callable[[str, Sequence[str]], bool]
"""Asked with the environment's name and what its spec takes of this host; True: the user agrees."""


def _quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What came of sharing an environment."""

    name: str
    path: Path
    size: int
    image: str
    """Digest of the image, which opening the file gives elsewhere."""
    manifest: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of opening a file."""

    name: str
    image: str
    folder: Path
    """Where spec, lock and files lie now."""
    notebooks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Bundles:
    """Sharing and opening for one user.

    :param build: makes an environment ready, as :meth:`.Environments.build`.
    :param install: installs the kernelspec of an environment.
    """

    def __init__(
        self,
        paths: Paths,
        store: Store,
        attestations: Attestations,
        *,
        build: Callable[[str], Built],
        install: Callable[[str], object],
    ) -> None:
        self.paths, self.store = paths, store
        self._attestations, self._build, self._install = attestations, build, install

    # Sharing

    def share(
        self,
        reference: str,
        path: Path,
        *,
        notebooks: Sequence[Path] = (),
        compression: Compression = "zstd",
        progress: Progress = _quiet,
    ) -> Shared:
        """Write the environment *reference* to the file *path*, built where it is not; the same bytes each time.

        *notebooks* go along. Raises what building and saving raise, and :class:`InputError` for files that can't go.
        """
        from .build.kept import Kept
        from .build.portable import make_portable
        from .image.saving import save_images
        from .lock.file import parse_lock

        given = [_checked_notebook(notebook) for notebook in notebooks]
        built = self._build(reference)
        name = built.record.name
        with self.store.lease([built.image.digest]), self.store.staging() as staging:
            files = staging.path / "files" / name  # a spec may have its name from its folder
            files.mkdir(parents=True)
            spec, lock = make_portable(built.loaded, built.lock, files, memory=staging.path)
            kept = Kept(spec, lock, parse_lock(lock, "the lock"))
            inputs = files if kept.lock.inputs else None
            artifact = _environment(name, kept, inputs, given, staging.path / "inputs")

            def attach(image: Image, manifest: Descriptor) -> Sequence[Artifact]:
                return (artifact, *self._attestations.statements(image, kept, manifest.digest))

            (manifest,) = save_images(
                self.store, [(built.image, (f"{name}:latest",))], path, compression=compression, attach=attach,
                progress=progress,
            )  # fmt: skip
        return Shared(name, path, path.stat().st_size, built.image.digest, manifest.digest)

    # Opening

    def open(
        self, path: Path, *, trust: Trust, name: str = "", to: Path | None = None, progress: Progress = _quiet,
        bounds: Bounds | None = None,
    ) -> Opened:  # fmt: skip
        """Take in the environment in the file *path*: its image, its files in the folder *to* (default: its name, in
        the working directory), its name and its kernelspec. Nothing of it is run, and no network is asked.

        *name*: another than its own. *trust* is asked where the spec takes something of this host. Raises
        :class:`InputError` for a file without an environment and where *trust* says no, :class:`ConflictError` for a
        name or folder that is taken, :class:`UntrustedContentError` for what is not what it says; nothing is left then.
        """
        from .image.bounds import DEFAULT_BOUNDS
        from .image.enclosed import open_images
        from .spec.names import check_name

        with open_images(self.store, path, bounds=bounds or DEFAULT_BOUNDS) as images:
            one, artifact = _only_environment(images, path)
            wanted = check_name(name or artifact.annotations.get(_NAME, ""))
            self._check_free(wanted)
            _check_architecture(one, path)
            target = (to or Path(wanted)).absolute()
            with _new_folder(target) as folder:
                notebooks = _unpack(one, artifact, folder, bounds or DEFAULT_BOUNDS)
                loaded, lock = self._check(folder, wanted)
                _ask(loaded, trust)
                image = one.load(progress=progress)
                for title, entry in notebooks.items():
                    (folder / title).write_bytes(one.read(entry, NOTEBOOK_LIMIT))
            # Under the lease of `open_images`: no collector comes before the image has its name.
            try:
                notes = self._settle(target, lock, image)
            except ContainersError:
                rmtree(target, ignore_errors=True)
                raise
        return Opened(wanted, image.digest, target, tuple(notebooks), notes)

    def _check_free(self, name: str) -> None:
        from .spec.catalog import find_record

        try:
            present = find_record(self.paths, name)
        except NotFoundError:
            return
        raise ConflictError(
            f"an environment named {name!r} is there already ({present.spec_file or 'an image without a spec'})",
            hint="open it under another name: `--name NAME`",
        )

    def _check(self, folder: Path, name: str) -> tuple[LoadedSpec, Lock]:
        from .build.portable import check_received

        with self.store.staging() as staging:
            return check_received(folder, name, memory=staging.path)

    def _settle(self, folder: Path, lock: Lock, image: Image) -> tuple[str, ...]:
        """Make it known. The kernelspec is a convenience: what keeps it from being installed is told."""
        from .build.kept import settle
        from .spec.grants import grant_of
        from .spec.load import load_spec

        loaded = load_spec(folder)
        self.store.tag(loaded.spec.name, image.digest)
        content = loaded.lock_file.read_bytes()
        granted = grant_of(loaded, lock=content)
        settle(loaded, lock, image, self.paths, location=str(folder), content=content, granted=granted)
        try:
            self._install(loaded.spec.name)
        except ContainersError as error:
            return (f"its kernelspec is not installed: {error.message}",)
        return ()


def _environment(
    name: str, kept: Kept, inputs: Path | None, notebooks: Sequence[tuple[str, Path]], packed: Path
) -> Artifact:
    """The artefact that makes an image an environment; *packed* is where the file with the *inputs* may be made."""
    from .build.kept import ENVIRONMENT_TYPE, LOCK_NAME, LOCK_TYPE, SPEC_TYPE
    from .image.artifacts import Artifact, Part
    from .image.deposit import pack_folder

    parts = [
        Part(media_type=SPEC_TYPE, content=kept.spec.encode(), title=NATIVE),
        Part(media_type=LOCK_TYPE, content=kept.lock_text, title=LOCK_NAME),
    ]
    if inputs is not None:
        pack_folder(inputs, packed)
        parts.append(Part(media_type=_INPUTS_TYPE, content=packed))
    parts += [Part(media_type=_NOTEBOOK_TYPE, content=path, title=title) for title, path in notebooks]
    return Artifact(kind=ENVIRONMENT_TYPE, parts=tuple(parts), annotations={_NAME: name})


def _checked_notebook(path: Path) -> tuple[str, Path]:
    if not re.fullmatch(_NOTEBOOK, path.name) or not path.is_file():
        raise InputError(f"{path} is no notebook that can go along", hint="name a file that ends in .ipynb")
    if path.stat().st_size > NOTEBOOK_LIMIT:
        raise InputError(f"{path} has more than {NOTEBOOK_LIMIT >> 20} MiB", hint="clear its outputs")
    return path.name, path


def _only_environment(images: Iterator[Enclosed], path: Path) -> tuple[Enclosed, ArtifactManifest]:
    from .build.kept import ENVIRONMENT_TYPE

    found = [
        (one, artifact)
        for one in images
        for artifact in one.artifacts
        if artifact.artifact_type == ENVIRONMENT_TYPE
    ]  # fmt: skip
    if len(found) != 1:
        raise InputError(
            f"{path} holds {len(found) or 'no'} environment{'s' if found else ''}, one is opened",
            hint="`jupyter containers load -i FILE` takes in images; `share` writes files to open",
        )
    return found[0]


def _check_architecture(one: Enclosed, path: Path) -> None:
    from .image.layout import host_architecture

    architecture = one.plan.config.architecture
    if architecture != host_architecture():
        raise InputError(
            f"{path} holds an image for {architecture}, and this machine is {host_architecture()}",
            hint="share it from a machine of this kind; the lock in it may serve both",
        )


def _ask(loaded: LoadedSpec, trust: Trust) -> None:
    from .spec.grants import describe_grant, grant_of

    wanted = describe_grant(grant_of(loaded))
    if wanted and not trust(loaded.spec.name, wanted):
        raise InputError(
            f"{loaded.spec.name} is not opened: its spec takes more of this host than a sandbox, and nobody agreed",
            problems=[Problem(NATIVE, line) for line in wanted],
            hint="`--trust` agrees",
        )


def _unpack(one: Enclosed, artifact: ArtifactManifest, folder: Path, bounds: Bounds) -> dict[str, Descriptor]:
    """Spec, lock and inputs into the empty *folder*; the notebooks by their names, which come later."""
    from .build.kept import LOCK_NAME
    from .image.artifacts import TITLE
    from .image.deposit import unpack_folder

    notebooks: dict[str, Descriptor] = {}
    documents: dict[str, Descriptor] = {}
    for entry in artifact.layers:
        title = entry.annotations.get(TITLE, "")
        if entry.media_type == _INPUTS_TYPE:
            unpack_folder(one, entry, folder, bounds=dataclasses.replace(bounds, size=_LARGEST_INPUTS))
        elif entry.media_type == _NOTEBOOK_TYPE and re.fullmatch(_NOTEBOOK, title):
            notebooks[title] = entry
        elif title in (NATIVE, LOCK_NAME):
            documents[title] = entry
    for title, limit in ((NATIVE, TEXT_LIMIT), (LOCK_NAME, LOCK_LIMIT)):
        if title not in documents:
            raise UntrustedContentError(f"the environment has no {title}")
        file = folder / title
        if os.path.lexists(file) and not (file.is_file() and not file.is_symlink()):
            raise UntrustedContentError(f"the environment's {title} is no file")
        file.write_bytes(one.read(documents[title], limit))
    return notebooks


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder that becomes *target* at the end, and meanwhile has its name elsewhere beside it."""
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise ConflictError(f"{target} is there already, and not an empty folder", hint="name another: `--to FOLDER`")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        outer = Path(tempfile.mkdtemp(prefix=".opening-", dir=target.parent))
    except OSError as error:
        raise StoreError(f"cannot make {target}: {error.strerror}", hint="name another place: `--to FOLDER`") from error
    try:
        folder = outer / target.name
        folder.mkdir(mode=0o755)
        yield folder
        sync_file_system(folder)
        folder.replace(target)
    finally:
        rmtree(outer, ignore_errors=True)
