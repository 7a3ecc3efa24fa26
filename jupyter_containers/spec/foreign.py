"""Specs made of other people's formats: a project's files, locks of others, what repo2docker reads.

Which of them is read in what order is told in :mod:`.detect`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ..errors import Problem, SpecError
from .assembly import Assembly
from .conda import read_environment
from .devcontainer import is_devcontainer, read_devcontainer
from .dockerfile import is_dockerfile, read_dockerfile
from .files import CONDA, DEVCONTAINERS, DOCKERFILES, NATIVE, PYLOCK, SCRIPTS, expand, ignore_rest
from .project import TABLE, Project
from .reading import LOCK_LIMIT
from .repo2docker import read_apt, read_post_build, read_runtime, read_start
from .requirements import read_requirements
from .walk import Place

__all__ = ["read_file", "read_foreign", "read_project"]

_READERS: dict[str, Callable[[Assembly, str], None]] = {
    "apt.txt": read_apt,
    "postBuild": read_post_build,
    "start": read_start,
}


def read_file(assembly: Assembly, name: str) -> None:
    """One file by its name, without what lies beside it; :class:`SpecError` where it is of no format that is read."""
    suffix = Path(name).suffix
    if name in {"pyproject.toml", "uv.lock"}:
        read_project(assembly, Project(assembly))
    elif name.startswith("pylock.") and suffix == ".toml":
        _read_pylock(assembly, name)
    elif suffix in {".yml", ".yaml"}:
        read_environment(assembly, name)
    elif name == "apt.txt":
        read_apt(assembly, name)
    elif name == "runtime.txt":
        read_runtime(assembly, name)
    elif suffix in {".txt", ".in"}:
        read_requirements(assembly, name)
    elif is_dockerfile(name):
        read_dockerfile(assembly, name)
    elif is_devcontainer(name):
        read_devcontainer(assembly, name)
    else:
        remedy = f"Give a folder, or a file such as {NATIVE}, pyproject.toml, requirements.txt or a notebook"
        problem = Problem(file=assembly.folder.shown(name), cause="is of no format that is read", remedy=remedy)
        raise SpecError("no spec", problems=[problem])


def read_foreign(assembly: Assembly) -> str:
    """Add what other tools' files ask for, as repo2docker reads them; the name of the file that won."""
    folder = assembly.folder
    configs = [name for name in ("binder", ".binder") if folder.file(name).is_dir()]
    if len(configs) > 1:
        # repo2docker refuses it too
        assembly.report(Place(folder.shown("")), "has both binder/ and .binder/", "Remove one of them")
    below = f"{configs[0]}/" if configs else ""
    names = [f"{below}{name}" for name in folder.names(below or ".")]
    present = {name.removeprefix(below): name for name in names}

    image = next((present[name] for name in DOCKERFILES if name in present), None)
    if image is not None and below:
        # As repo2docker has it: what lies there is meant for the notebooks, and a Dockerfile is all of it.
        read_dockerfile(assembly, image)
        ignore_rest(assembly, f"{image} comes first")
        return image
    if "runtime.txt" in present and not any(name in present for name in CONDA):
        read_runtime(assembly, present["runtime.txt"])
    winner = _read_python(assembly, present, below)
    if "runtime.txt" in present and any(name in present for name in CONDA):
        if "python" in assembly.document:
            assembly.ignore(present["runtime.txt"], f"{winner} names the Python")
        else:
            read_runtime(assembly, present["runtime.txt"])
    for name in SCRIPTS:
        if name in present and not folder.file(present[name]).is_dir():
            _READERS[name](assembly, present[name])
            winner = winner or present[name]
    if "runtime.txt" in present:
        winner = winner or present["runtime.txt"]
    if winner is None and not below:
        winner = _read_container(assembly, image)
    ignore_rest(assembly, f"{below} is read instead" if below else f"{winner} comes first")
    if winner is None:
        raise _nothing_found(assembly)
    return winner


def _read_container(assembly: Assembly, image: str | None) -> str | None:
    """A folder with nothing but a devcontainer.json, or a Dockerfile. Beside other tools' files both mostly belong to
    something else than notebooks: an editor, a service."""
    for name in DEVCONTAINERS:
        if assembly.folder.has(name):
            read_devcontainer(assembly, name)
            return name
    if image is not None:
        read_dockerfile(assembly, image)
    return image


def _read_python(assembly: Assembly, present: dict[str, str], below: str) -> str | None:
    """Read the first source of Python packages; its name."""
    for name in CONDA:
        if name in present:
            read_environment(assembly, present[name])
            return present[name]
    locks = [name for name in present if re.fullmatch(PYLOCK, name)]
    if locks:
        name = "pylock.toml" if "pylock.toml" in locks else locks[0]
        if name != "pylock.toml" and len(locks) > 1:
            place = Place(assembly.folder.shown(below))
            remedy = "Name the one to use: jupyter containers build FILE"
            assembly.report(place, f"has several locks and no pylock.toml: {', '.join(locks)}", remedy)
        _read_pylock(assembly, present[name])
        return present[name]
    # A project's files belong to the project's folder: binder/ holds only settings.
    project = Project(assembly) if "pyproject.toml" in present and not below else None
    if project is not None and project.has_packages and "uv.lock" in present:
        read_project(assembly, project)
        return "uv.lock"
    if "requirements.txt" in present:
        read_requirements(assembly, present["requirements.txt"])
        return present["requirements.txt"]
    if project is not None and project.has_packages:
        read_project(assembly, project)
        return project.name
    return None


def read_project(assembly: Assembly, project: Project) -> None:
    """A pyproject.toml with a ``[tool.jupyter-containers]`` table, or with dependencies, or both."""
    name, table = project.name, project.table
    own_packages = False
    if table is None and not project.has_packages:
        place = Place(assembly.folder.shown(name))
        assembly.report(place, "has neither [project] nor [tool.jupyter-containers]", "Add one of them")
    elif isinstance(table, dict):
        assembly.start(table, assembly.folder.shown(name), project.text, table=TABLE)
        assembly.use(name, "the spec: [tool.jupyter-containers]")
        packages = table.get("packages")
        own_packages = isinstance(packages, dict) and bool(packages.get("pip"))
    elif table is not None:
        assembly.report(Place(assembly.folder.shown(name), key="tool.jupyter-containers"), "has to be a table")
    expand(assembly, name, project)
    if project.has_packages:
        project.add_project()
        unread = "; [tool.uv] is not read" if project.has_uv_sources else ""
        assembly.use(name, f"Python packages: the project's dependencies{unread}")
    if not assembly.folder.has("uv.lock"):
        return
    if own_packages:
        assembly.ignore("uv.lock", "it does not have what packages.pip of [tool.jupyter-containers] adds")
    else:
        _adopt(assembly, "uv.lock", "exact versions of the project's dependencies")


def _read_pylock(assembly: Assembly, name: str) -> None:
    """A PEP 751 lock: looked at here, adopted whole by the resolver."""
    document, _ = assembly.folder.read_toml(name, limit=LOCK_LIMIT)
    place = Place(assembly.folder.shown(name))
    version = document.get("lock-version")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        assembly.report(place, f"has the lock-version {version!r}, and only 1.x is known", "Export it anew (PEP 751)")
    packages = document.get("packages")
    if not isinstance(packages, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in packages
    ):
        assembly.report(place, "is not a lock: `packages` has to be a list of tables with a `name` (PEP 751)")
    if isinstance(document.get("requires-python"), str):
        assembly.set(("python",), document["requires-python"], Place(place.file, key="requires-python"))
    _adopt(assembly, name, "Python packages, exact (PEP 751)")


def _adopt(assembly: Assembly, name: str, part: str) -> None:
    assembly.folder.read(name, limit=LOCK_LIMIT)  # its owner reads it without the folder's checks
    assembly.pylock = assembly.folder.file(name)
    assembly.use(name, part)


def _nothing_found(assembly: Assembly) -> SpecError:
    folder = assembly.folder
    unread = [
        Problem(file=folder.shown(str(item.file.relative_to(folder.path))), cause=item.reason)
        for item in assembly.ignored
    ]
    return SpecError(
        f"no spec in {folder.given.absolute()}",
        problems=[*assembly.problems, *unread],
        hint="`jupyter containers init` writes one from the imports of the notebooks",
    )
