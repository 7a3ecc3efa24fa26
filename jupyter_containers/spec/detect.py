"""Which files of a folder make its spec. The order is in docs/spec-reference.md:

1. ``jupyter-container.toml``, alone but for the groups and extras that it takes from pyproject.toml
2. ``[tool.jupyter-containers]`` of pyproject.toml, with the project's dependencies
3. other tools' files as repo2docker reads them: of ``binder/`` or ``.binder/`` where there is one, else of the folder.
   Python packages come from the first of environment.yml, pylock.toml, uv.lock, requirements.txt, pyproject.toml;
   apt.txt, runtime.txt, postBuild and start add to them.

The third is :mod:`.foreign`. It and the modules of the formats are imported when there is a file of theirs: they take
longer than reading a native spec, which every start of a container does.
"""

from __future__ import annotations

from .assembly import Assembly
from .files import NATIVE, expand, ignore_rest

__all__ = ["read_folder", "read_native"]


def read_folder(assembly: Assembly) -> str:
    """Add what the folder's files ask for; the name of the file that won. :class:`SpecError` where there is none."""
    if assembly.folder.has(NATIVE):
        read_native(assembly, NATIVE)
        ignore_rest(assembly, f"{NATIVE} comes first")
        return NATIVE
    from .foreign import read_foreign, read_project
    from .project import Project

    if assembly.folder.has("pyproject.toml"):
        project = Project(assembly)
        if project.table is not None:
            read_project(assembly, project)
            ignore_rest(assembly, "the table [tool.jupyter-containers] of pyproject.toml comes first")
            return project.name
    return read_foreign(assembly)


def read_native(assembly: Assembly, name: str) -> None:
    document, text = assembly.folder.read_toml(name)
    assembly.start(document, assembly.folder.shown(name), text)
    assembly.use(name, "the spec")
    expand(assembly, name)
