"""Reading a spec: a folder, or one file of any format that is read."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import Problem, SpecError
from .assembly import Assembly
from .conda import read_environment
from .detect import NATIVE, is_standard, read_folder, read_native, read_project, read_pylock
from .dump import dump_spec
from .model import LoadedSpec
from .project import Project
from .reading import Folder
from .repo2docker import read_apt, read_runtime
from .requirements import read_requirements
from .script import find_block, read_script

__all__ = ["dump_spec", "load_spec"]

_SCRIPTS = frozenset({".ipynb", ".py"})


def load_spec(path: Path) -> LoadedSpec:
    """The spec of the folder or file *path*.

    A notebook or script has the spec of its PEP 723 block, and without one that of its folder. :class:`SpecError`
    holds all problems of the files that were read.
    """
    if path.is_dir():
        return _load_folder(path)
    if not os.path.lexists(path):
        raise SpecError("no spec", problems=[Problem(file=str(path), cause="does not exist")])
    folder = Folder(path.parent)
    if path.suffix in _SCRIPTS:
        block = find_block(folder, path.name)
        if block is None:
            return _load_folder_of(path)
        assembly = Assembly(folder)
        read_script(assembly, path.name, block)
        return assembly.finish(path.name, name=path.stem, alone=True)
    assembly = Assembly(folder)
    _read_file(assembly, path.name)
    alone = not is_standard(path.name)
    return assembly.finish(path.name, name=path.name.partition(".")[0] if alone else folder.path.name, alone=alone)


def _load_folder(path: Path) -> LoadedSpec:
    assembly = Assembly(Folder(path))
    winner = read_folder(assembly)
    return assembly.finish(winner, name=assembly.folder.path.name)


def _load_folder_of(script: Path) -> LoadedSpec:
    try:
        return _load_folder(script.parent)
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
    suffix = Path(name).suffix
    if name in {"pyproject.toml", "uv.lock"}:
        read_project(assembly, Project(assembly))
    elif name.startswith("pylock.") and suffix == ".toml":
        read_pylock(assembly, name)
    elif suffix == ".toml":
        read_native(assembly, name)
    elif suffix in {".yml", ".yaml"}:
        read_environment(assembly, name)
    elif name == "apt.txt":
        read_apt(assembly, name)
    elif name == "runtime.txt":
        read_runtime(assembly, name)
    elif suffix in {".txt", ".in"}:
        read_requirements(assembly, name)
    else:
        remedy = f"Give a folder, or a file such as {NATIVE}, pyproject.toml, requirements.txt or a notebook"
        problem = Problem(file=assembly.folder.shown(name), cause="is of no format that is read", remedy=remedy)
        raise SpecError("no spec", problems=[problem])
