"""Environments written out for other people's tools: what :class:`.Environments` hands on to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ConflictError, InputError, LockError
from .paths import Paths
from .spec.reading import Folder

if TYPE_CHECKING:
    from .build.export.parts import Export
    from .lock.model import Lock
    from .spec.model import LoadedSpec

__all__ = ["Exports"]


class Exports:
    """Dockerfiles and devcontainer.json files for one user.

    :param load: the spec that a name or path stands for.
    """

    def __init__(self, paths: Paths, *, load: Callable[[str], LoadedSpec]) -> None:
        self.paths = paths
        self._load = load

    def dockerfile(self, reference: str, *, architecture: str = "") -> Export:
        """The environment of *reference* as a Dockerfile, from its lock.

        *architecture*: Debian's name of the one whose packages are written (default: this machine's, where the lock
        has it). :class:`LockError` where there is no lock that fits; :class:`InputError` for what can't be written.
        """
        return self._export(self._load(reference), f"jupyter containers to-dockerfile {reference}", architecture)

    def write_dockerfile(self, reference: str, folder: Path, *, force: bool = False, architecture: str = "") -> Export:
        """The same, with all that it takes in, into *folder*: a build context. *force*: also where there are files.

        Raises :class:`ConflictError`, too.
        """
        loaded = self._load(reference)
        export = self._export(loaded, f"jupyter containers to-dockerfile {reference}", architecture)
        self._write(loaded, export, folder, {}, force=force)
        return export

    def write_devcontainer(
        self, reference: str, folder: Path, *, force: bool = False, architecture: str = ""
    ) -> Export:
        """The environment of *reference* for an editor: ``.devcontainer/`` in *folder*."""
        from .build.export.devcontainer import dump_devcontainer

        loaded = self._load(reference)
        export = self._export(loaded, f"jupyter containers to-devcontainer {reference}", architecture)
        document = dump_devcontainer(loaded, args=export.args)
        self._write(loaded, export, folder / ".devcontainer", {"devcontainer.json": document}, force=force)
        return export

    def _export(self, loaded: LoadedSpec, command: str, architecture: str) -> Export:
        from .build.export.dockerfile import export_dockerfile

        lock = self._lock(loaded)
        read = Folder(loaded.folder).read_text
        return export_dockerfile(
            loaded, lock, architecture=_choose(lock, architecture), command=command, read=read
        )  # fmt: skip

    def _lock(self, loaded: LoadedSpec) -> Lock:
        from .build.locking import find_reasons
        from .lock.file import read_lock

        file = loaded.lock_file
        hint = f"`jupyter containers lock {loaded.file or loaded.folder}`"
        if not file.exists():
            raise LockError(f"there is no {file}: an export is made from the lock", hint=hint)
        lock = read_lock(file)
        reasons = find_reasons(loaded, lock, paths=self.paths)
        if reasons:
            raise LockError(f"{file} does not fit the spec: {'; '.join(reasons)}", hint=hint)
        return lock

    def _write(self, loaded: LoadedSpec, export: Export, folder: Path, more: Mapping[str, str], *, force: bool) -> None:
        if folder.exists() and not folder.is_dir():
            raise ConflictError(f"{folder} is there already, and no folder", hint="name another")
        if folder.is_dir() and any(folder.iterdir()) and not force:
            raise ConflictError(f"{folder} is there already, and not empty", hint="name another, or `--force`")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if export.context:
                self._copy_context(loaded, folder)
            for inside, source in export.copies.items():
                _copy_input(loaded, source, folder / inside)
            for name, text in {**{file.path: file.content for file in export.files}, **more}.items():
                (folder / name).write_text(text, encoding="utf-8")
            (folder / "Dockerfile").write_text(export.dockerfile, encoding="utf-8")
        except (OSError, shutil.Error) as error:
            cause = getattr(error, "strerror", None) or error
            raise InputError(f"cannot write {folder}: {cause}", hint="name another folder") from error

    def _copy_context(self, loaded: LoadedSpec, folder: Path) -> None:
        """What the spec's Dockerfile takes in; what .dockerignore leaves out stays behind, and so does that file."""
        from .build.inputs import taken_by_dockerfile

        context = Path(os.path.normpath(loaded.spec.build.context))
        for taken in taken_by_dockerfile(loaded):
            with suppress(ValueError):  # the Dockerfile itself may lie elsewhere
                inside = Path(taken.path).relative_to(context)
                if inside.name != ".dockerignore" and taken.path != loaded.spec.build.dockerfile:
                    _copy_entry(taken.file, folder / inside)


def _choose(lock: Lock, wanted: str) -> str:
    from .lock.fit import host_architecture

    known = tuple(lock.base.packages) or tuple(lock.apt) or (host_architecture(),)
    if wanted and wanted not in known:
        raise InputError(f"the lock has no packages for {wanted}, only for {', '.join(known)}")
    if wanted:
        return wanted
    return host_architecture() if host_architecture() in known else known[0]


def _copy_input(loaded: LoadedSpec, source: str, target: Path) -> None:
    """A file or folder of the spec's folder, as a build would take it in."""
    from .build.inputs import list_entries, source_path

    try:
        real = source_path(loaded, source)
    except ValueError as error:
        raise InputError(f"{source} {error}") from error
    for entry in list_entries(real, without=loaded.lock_file):
        _copy_entry(real / entry.path if entry.path else real, target / entry.path if entry.path else target)


def _copy_entry(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
    else:
        target.unlink(missing_ok=True)
        shutil.copy(source, target, follow_symlinks=False)
