"""Reading a spec: a folder, or one file of any format that is read."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import Problem, SpecError
from .assembly import Assembly
from .detect import read_folder, read_native
from .files import DEVCONTAINERS, DOCKERFILES, NATIVE, is_standard
from .model import LoadedSpec
from .reading import Folder

__all__ = ["load_spec", "load_text"]

_SCRIPTS = frozenset({".ipynb", ".py"})
_ONLY_WITHOUT_OTHERS = frozenset({*DOCKERFILES, *DEVCONTAINERS, "devcontainer.json"})
"""Files that are a folder's spec only where it has no other tools' files."""


def load_spec(path: Path) -> LoadedSpec:
    """The spec of the folder or file *path*.

    A notebook or script has the spec of its PEP 723 block, and without one that of its folder. :class:`SpecError`
    holds all problems of the files that were read.
    """
    if path.is_dir():
        return _load_folder(Folder(path))
    if not os.path.lexists(path):
        raise SpecError(
            "no spec", problems=[Problem(str(path), "does not exist", "Name a folder or a file that is there")]
        )
    folder = _workspace(path)
    return _load_file(Folder(folder), str(path.relative_to(folder)))


def load_text(text: str, folder: Path, name: str = NATIVE) -> LoadedSpec:
    """The spec of *folder* as it would be if its file *name* held *text*; errors show that file by its name alone.

    A file that is looked for in a folder (jupyter-container.toml, pyproject.toml …) is read together with those beside
    it, any other alone, as :func:`load_spec` does it.
    """
    place = Folder(folder, given=Path(), texts={name: text})
    return _load_folder(place) if is_standard(name) else _load_file(place, name)


def _workspace(path: Path) -> Path:
    """The folder that the file *path* is a spec of."""
    folder = path.parent
    if path.name == "devcontainer.json":
        # `.devcontainer/devcontainer.json`, or one of several: `.devcontainer/NAME/devcontainer.json`.
        for above in (folder, folder.parent):
            if above.name == ".devcontainer":
                return above.parent
    return folder


def _load_file(folder: Folder, name: str) -> LoadedSpec:
    path = folder.file(name)
    if path.suffix in _SCRIPTS:
        from .script import find_block, read_script

        block = find_block(folder, name)
        if block is None:
            return _load_folder_of(path)
        assembly = Assembly(folder)
        read_script(assembly, name, block)
        return assembly.finish(name, name=path.stem, alone=True)
    assembly = Assembly(folder)
    _read_file(assembly, name)
    alone = not is_standard(path.name) or (path.name in _ONLY_WITHOUT_OTHERS and not _wins(folder, name))
    return assembly.finish(name, name=_own_name(folder, name) if alone else folder.path.name, alone=alone)


def _wins(folder: Folder, name: str) -> bool:
    """Whether *name* is the file that its folder's spec is made of."""
    try:
        return read_folder(Assembly(folder)) == name
    except SpecError:
        return False


def _own_name(folder: Folder, name: str) -> str:
    """For an environment of the file *name* alone."""
    base = name.rpartition("/")[2]
    first, _, rest = base.partition(".")
    if base == "devcontainer.json" and name.count("/") == 2:
        return name.split("/")[1]
    if base in _ONLY_WITHOUT_OTHERS:
        return folder.path.name
    return rest if first in DOCKERFILES else first


def _load_folder(folder: Folder) -> LoadedSpec:
    assembly = Assembly(folder)
    winner = read_folder(assembly)
    return assembly.finish(winner, name=folder.path.name)


def _load_folder_of(script: Path) -> LoadedSpec:
    try:
        return _load_folder(Folder(script.parent))
    except SpecError as error:
        if not error.message.startswith("no spec in"):
            raise
        problem = Problem(file=str(script), cause="has no `# /// script` block (PEP 723)")
        folder = script.parent.absolute()
        raise SpecError(
            f"no spec for {script.name}, and none in {folder}", problems=[problem], hint=error.hint
        ) from None


def _read_file(assembly: Assembly, name: str) -> None:
    """One file by its name, without what lies beside it."""
    if name.endswith(".toml") and name != "pyproject.toml" and not name.startswith("pylock."):
        read_native(assembly, name)
        return
    from .foreign import read_file

    read_file(assembly, name)
