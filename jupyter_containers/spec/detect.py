"""Which files of a folder make its spec. The order is in docs/spec-reference.md:

1. ``jupyter-container.toml``, alone but for the groups and extras that it takes from pyproject.toml
2. ``[tool.jupyter-containers]`` of pyproject.toml, with the project's dependencies
3. other tools' files as repo2docker reads them: of ``binder/`` or ``.binder/`` where there is one, else of the folder.
   Python packages come from the first of environment.yml, pylock.toml, uv.lock, requirements.txt, pyproject.toml;
   apt.txt, runtime.txt, postBuild and start add to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import Problem, SpecError
from .assembly import Assembly
from .conda import read_environment
from .project import TABLE, Project
from .reading import LOCK_LIMIT
from .repo2docker import read_apt, read_post_build, read_runtime, read_start
from .requirements import add_requirement, read_requirements
from .walk import Key, Place

__all__ = ["NATIVE", "is_standard", "read_folder", "read_foreign", "read_native", "read_project", "read_pylock"]

NATIVE = "jupyter-container.toml"
_CONDA = ("environment.yml", "environment.yaml")
_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")
"""PEP 751, "File Name"."""
_SCRIPTS: dict[str, Callable[[Assembly, str], None]] = {
    "apt.txt": read_apt,
    "postBuild": read_post_build,
    "start": read_start,
}
_UNREAD = {
    "Dockerfile": "Dockerfiles are not read",
    "Pipfile": "pipenv's files are not read; `pipenv requirements > requirements.txt` writes one that is",
    "Pipfile.lock": "pipenv's files are not read",
    "poetry.lock": "poetry's lock is not read; `poetry export` writes a requirements.txt",
    "pixi.toml": "pixi's files are not read; `pixi project export conda-environment` writes an environment.yml",
    "pixi.lock": "pixi's files are not read",
    "conda-lock.yml": "conda's locks are not read",
    "setup.py": "it would have to be run to be read; write `.` into a requirements.txt to install it",
    "setup.cfg": "setuptools' old file is not read; write `.` into a requirements.txt to install the package",
    "default.nix": "Nix files are not read",
    "install.R": "R scripts are not read; write R packages (r-cran-…) into apt.txt",
    "DESCRIPTION": "R packages are not read; write R packages (r-cran-…) into apt.txt",
    "Project.toml": "Julia projects are not read",
    "REQUIRE": "Julia requirements are not read",
}
_READ = frozenset({*_CONDA, *_SCRIPTS, NATIVE, "pyproject.toml", "uv.lock", "requirements.txt", "runtime.txt"})


def is_standard(name: str) -> bool:
    """Whether *name* is looked for in a folder."""
    return name in _READ or _PYLOCK.fullmatch(name) is not None


def read_folder(assembly: Assembly) -> str:
    """Add what the folder's files ask for; the name of the file that won. :class:`SpecError` where there is none."""
    if assembly.folder.has(NATIVE):
        read_native(assembly, NATIVE)
        _ignore_rest(assembly, f"{NATIVE} comes first")
        return NATIVE
    if assembly.folder.has("pyproject.toml"):
        project = Project(assembly)
        if project.table is not None:
            read_project(assembly, project)
            _ignore_rest(assembly, "the table [tool.jupyter-containers] of pyproject.toml comes first")
            return project.name
    return read_foreign(assembly)


def read_native(assembly: Assembly, name: str) -> None:
    document, text = assembly.folder.read_toml(name)
    assembly.start(document, assembly.folder.shown(name), text)
    assembly.use(name, "the spec")
    _expand(assembly, name)


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
    _expand(assembly, name, project)
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


def read_pylock(assembly: Assembly, name: str) -> None:
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


def _expand(assembly: Assembly, name: str, project: Project | None = None) -> None:
    """Put in what a native document only names: ``-r FILE`` lines, dependency groups, extras."""
    packages = assembly.document.get("packages")
    if not isinstance(packages, dict):
        return
    pip = packages.get("pip")
    if isinstance(pip, list) and any(isinstance(item, str) and item.startswith(_INCLUDES) for item in pip):
        key: Key = ("packages", "pip")
        items = [(item, assembly.locate((*key, at))) for at, item in enumerate(pip)]
        pip.clear()
        for item, place in items:
            if isinstance(item, str) and item.startswith(_INCLUDES):
                add_requirement(assembly, item, place, file=name)
            else:
                assembly.add(key, item, place)
    for field in ("groups", "extras"):
        wanted = packages.get(field)
        for at, item in enumerate(wanted if isinstance(wanted, list) else []):
            asked = assembly.locate(("packages", field, at))
            if not isinstance(item, str):
                continue
            if project is None:
                if not assembly.folder.has("pyproject.toml"):
                    assembly.report(asked, f"{item!r} is looked for in pyproject.toml, which does not exist", "Add it")
                    continue
                project = Project(assembly)
                assembly.use(project.name, "dependency groups and extras")
            if field == "groups":
                project.add_group(item, asked)
            else:
                project.add_extra(item, asked)


_INCLUDES = ("-r", "--requirement", "-c", "--constraint")


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

    if "runtime.txt" in present and not any(name in present for name in _CONDA):
        read_runtime(assembly, present["runtime.txt"])
    winner = _read_python(assembly, present, below)
    if "runtime.txt" in present and any(name in present for name in _CONDA):
        if "python" in assembly.document:
            assembly.ignore(present["runtime.txt"], f"{winner} names the Python")
        else:
            read_runtime(assembly, present["runtime.txt"])
    for name, read in _SCRIPTS.items():
        if name in present and not folder.file(present[name]).is_dir():
            read(assembly, present[name])
            winner = winner or present[name]
    if "runtime.txt" in present:
        winner = winner or present["runtime.txt"]
    _ignore_rest(assembly, f"{below} is read instead" if below else f"{winner} comes first")
    if winner is None:
        raise _nothing_found(assembly)
    return winner


def _read_python(assembly: Assembly, present: dict[str, str], below: str) -> str | None:
    """Read the first source of Python packages; its name."""
    for name in _CONDA:
        if name in present:
            read_environment(assembly, present[name])
            return present[name]
    locks = [name for name in present if _PYLOCK.fullmatch(name)]
    if locks:
        name = "pylock.toml" if "pylock.toml" in locks else locks[0]
        if name != "pylock.toml" and len(locks) > 1:
            place = Place(assembly.folder.shown(below))
            remedy = "Name the one to use: jupyter containers build FILE"
            assembly.report(place, f"has several locks and no pylock.toml: {', '.join(locks)}", remedy)
        read_pylock(assembly, present[name])
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


def _ignore_rest(assembly: Assembly, reason: str) -> None:
    """List every file that could have had a part and had none."""
    told = {item.file for item in assembly.used} | {item.file for item in assembly.ignored}
    for below in ("", "binder/", ".binder/"):
        for name in assembly.folder.names(below or "."):
            path = below + name
            if assembly.folder.file(path) in told or assembly.folder.file(path).is_dir():
                continue
            if name in _UNREAD:
                assembly.ignore(path, _UNREAD[name])
            elif is_standard(name):
                assembly.ignore(path, _own_reason(assembly, path) or reason)


def _own_reason(assembly: Assembly, path: str) -> str | None:
    if path == "pyproject.toml" and not _has_packages(assembly):
        return "it has neither [project] nor [tool.jupyter-containers]"
    if path == "uv.lock" and not assembly.folder.has("pyproject.toml"):
        return "it belongs to a pyproject.toml, which is not there"
    return None


def _has_packages(assembly: Assembly) -> bool:
    try:
        return Project(assembly).has_packages
    except SpecError:  # another file won, so this one's errors are not the user's business now
        return True


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
