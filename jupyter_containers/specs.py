"""The texts of specs: checked, drafted, changed, kept. What :class:`.Environments` hands on to.

A text is shown and written as the user has it, comments and all. It is written only where it is valid, whole or not at
all, and only over the text that the writer has seen.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import ConflictError, InputError, NotFoundError, Problem, SpecError, StoreError
from .lock.compare import LockedPackage, Moved
from .spec.catalog import list_records
from .spec.files import NATIVE
from .spec.load import load_spec, load_text
from .spec.reading import Folder
from .spec.toml import read_toml

if TYPE_CHECKING:
    from .directory import Directory
    from .image.store import Store
    from .spec.catalog import Record
    from .spec.draft import Draft
    from .spec.edit import Edit
    from .spec.model import EnvironmentSpec, LoadedSpec
    from .views import EnvironmentView

__all__ = ["CheckedText", "LockChanges", "SpecText", "Specs"]


class SpecText(msgspec.Struct, frozen=True, kw_only=True):
    """The file that an environment's spec is written in."""

    path: str
    text: str
    version: str
    """Changes with the text; whoever writes says which one he has seen."""
    editable: bool
    reason: str = ""
    """Why it is not editable."""


class CheckedText(msgspec.Struct, frozen=True, kw_only=True):
    problems: tuple[Problem, ...] = ()
    document: dict[str, Any] | None = None
    """As it is written; None where it is no TOML."""
    spec: dict[str, Any] | None = None
    """The whole spec as a jupyter-container.toml would have it, defaults left out; None where there are problems."""


class LockChanges(msgspec.Struct, frozen=True, kw_only=True):
    """How the lock differs from the one that the image was built from, and from the spec."""

    added: tuple[LockedPackage, ...] = ()
    removed: tuple[LockedPackage, ...] = ()
    changed: tuple[Moved, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why a build will write another lock, or why the two can't be compared."""


class Specs:
    """The texts of specs of one user.

    :param add: makes a loaded spec known by its name.
    """

    def __init__(
        self, directory: Directory, *, add: Callable[[LoadedSpec], EnvironmentView], store: Callable[[], Store]
    ) -> None:
        self.paths, self._directory = directory.paths, directory
        self._add, self._store = add, store

    # Texts that are nowhere yet

    def check(self, text: str, folder: Path | None = None) -> CheckedText:
        """*text* as the jupyter-container.toml of *folder*, or of an empty one: its problems, or the spec."""
        from .spec.dump import dump_spec

        try:
            if folder is not None:
                spec = load_text(text, folder).spec
            else:
                with tempfile.TemporaryDirectory(prefix="jc-check-") as temporary:
                    place = Path(temporary, "environment")  # which a spec without a name gets its name from
                    place.mkdir()
                    spec = load_text(text, place).spec
        except InputError as error:
            problems = error.problems or (Problem(file=NATIVE, cause=error.message),)
            return CheckedText(problems=problems, document=_document(text))
        return CheckedText(document=_document(text), spec=tomllib.loads(dump_spec(spec)))

    def draft(self, path: Path | None = None, *, image: str = "", folder: Path | None = None, name: str = "") -> Draft:
        """A first spec from *path* (a folder, a notebook, another tool's file), or from *image* for *folder*."""
        from .spec.draft import draft_from, draft_from_image

        if image:
            from .image.reference import parse_reference

            parse_reference(image)
            return draft_from_image(image, folder or self.paths.home, name=name)
        assert path is not None
        return draft_from(path, name=name)

    @staticmethod
    def change(text: str, changes: Sequence[Edit]) -> str:
        """*text* with some values changed; see :func:`.spec.edit.change_text`."""
        from .spec.edit import change_text

        return change_text(text, changes)

    def create(self, text: str, folder: Path | None = None) -> EnvironmentView:
        """Keep *text* as the jupyter-container.toml of *folder*, or in a folder of its own in the home, and make it
        known.

        :class:`SpecError` with every problem of it, :class:`ConflictError` where the name is taken, or *folder* has a
        spec already.
        """
        if folder is None:
            return self._create_at_home(text)
        spec = load_text(text, folder).spec
        file = folder / NATIVE
        if os.path.lexists(file):
            raise ConflictError(f"{file} is there already", hint="edit it, or take another folder")
        self._refuse_taken(spec.name, folder)
        _write(file, text)
        return self._add(load_spec(folder))

    def _create_at_home(self, text: str) -> EnvironmentView:
        folder = self.paths.home / "specs"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder))
            try:
                name = load_text(text, draft).spec.name
                self._refuse_taken(name, None)
                _write(draft / NATIVE, text)
                kept = folder / name
                if kept.exists():
                    rmtree(kept)  # of an environment that was forgotten since
                draft.replace(kept)
            finally:
                rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise StoreError(
                f"the spec can't be kept in {folder}: {error.strerror}", hint="free some space, or look at its owner"
            ) from error
        return self._add(load_spec(kept / NATIVE))

    def _refuse_taken(self, name: str, folder: Path | None) -> None:
        entry = next((entry for entry in list_records(self.paths) if entry.name == name), None)
        if entry is None:
            return
        if folder is None or not entry.spec_file or Path(entry.spec_file).exists():
            raise ConflictError(
                f"an environment named {name!r} exists",
                hint="give the new one another `name`, or remove the old one first",
            )

    # Those of environments

    def read(self, name: str) -> SpecText:
        """The text of the environment *name*; :class:`NotFoundError`, :class:`SpecError` where it can't be read."""
        file = self._file(self._directory.find(name))
        text = Folder(file.parent).read_text(file.name)
        reason = _why_not(file)
        return SpecText(path=str(file), text=text, version=_version(text), editable=not reason, reason=reason)

    def write(self, name: str, text: str, version: str) -> SpecText:
        """Put *text* in place of the one that *version* is of.

        :class:`ConflictError` where the file was changed meanwhile; :class:`SpecError` with every problem of *text*.
        Nothing is written then.
        """
        present = self.read(name)
        file = Path(present.path)
        if not present.editable:
            raise SpecError("the spec can't be edited", problems=[Problem(file=str(file), cause=present.reason)])
        if present.version != version:
            raise ConflictError(f"{file} was changed meanwhile", hint="look at it, then make your change again")
        loaded = load_text(text, file.parent, file.name)
        if loaded.spec.name != name:
            problem = Problem(
                file=file.name, key="name", cause=f"{loaded.spec.name!r}: the environment is known as {name!r}",
                remedy="Make a new environment for another name",
            )  # fmt: skip
            raise SpecError("the spec is not valid", problems=[problem])
        _write(file, text)
        return self.read(name)

    def find(self, name: str) -> EnvironmentSpec:
        """The spec of the environment *name* as it is now; of one that is an image alone, a spec that says nothing."""
        from .spec.model import EnvironmentSpec

        entry = self._directory.find(name)
        return load_spec(self._location(entry)).spec if entry.spec_file else EnvironmentSpec(name=name)

    def compare_lock(self, name: str) -> LockChanges:
        """The lock of the environment *name* against the one that its image was built from."""
        from .build.kept import read_kept
        from .lock.compare import compare
        from .lock.file import read_lock
        from .lock.fit import check_lock, host_architecture

        entry = self._directory.find(name)
        loaded = load_spec(self._location(entry))
        if not loaded.lock_file.exists():
            return LockChanges(reasons=(f"there is no {loaded.lock_file.name} yet; a build writes it",))
        lock = read_lock(loaded.lock_file)
        reasons = check_lock(loaded, lock, paths=self.paths)
        kept = read_kept(self._store(), entry.image) if entry.image is not None else None
        if kept is None:
            return LockChanges(reasons=(*reasons, "which lock the image was built from is not known"))
        changes = compare(kept.lock, lock, host_architecture())
        return LockChanges(added=changes.added, removed=changes.removed, changed=changes.changed, reasons=reasons)

    @staticmethod
    def _location(entry: Record) -> Path:
        if not entry.spec_file:
            raise NotFoundError(f"{entry.name} is an image without a spec", hint="`init` writes one")
        return Path(entry.spec_file)

    def _file(self, entry: Record) -> Path:
        """The file that a change of the spec is written to: the one that won, where it can be told."""
        location = self._location(entry)
        if not location.is_dir():
            return location
        try:
            loaded = load_spec(location)
        except SpecError:
            # It is not valid, and to be shown all the more.
            return location / (NATIVE if (location / NATIVE).exists() else "pyproject.toml")
        return loaded.file or location / NATIVE


def _why_not(file: Path) -> str:
    if file.suffix in {".ipynb", ".py"}:
        return f"it is a part of {file.name}: edit it there"
    if file.is_symlink():
        return f"{file.name} is a link"
    if not os.access(file.parent, os.W_OK):
        return f"{file.parent} can't be written"
    return ""


def _document(text: str) -> dict[str, Any] | None:
    try:
        return read_toml(text)
    except tomllib.TOMLDecodeError:
        return None


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(file: Path, text: str) -> None:
    from .spec.edit import replace_text

    replace_text(file, text)
