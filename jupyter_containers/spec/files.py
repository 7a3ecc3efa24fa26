"""The files that are looked for in a folder, what a native one only names, and the telling of those without a part.

Which of them wins is :mod:`.detect`'s. The modules of other formats are imported when there is a file of theirs: they
take longer than reading a native spec, which every start of a container does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import SpecError
from .assembly import Assembly
from .walk import Key

if TYPE_CHECKING:
    from .project import Project

__all__ = [
    "CONDA", "DEVCONTAINERS", "DOCKERFILES", "NATIVE", "PYLOCK", "SCRIPTS", "expand", "ignore_rest", "is_standard",
]  # fmt: skip

NATIVE = "jupyter-container.toml"
CONDA = ("environment.yml", "environment.yaml")
PYLOCK = r"pylock(\.[^.]+)?\.toml"
"""PEP 751, "File Name"."""
SCRIPTS = ("apt.txt", "postBuild", "start")
"""repo2docker's files beside the one of the Python packages, in the order in which they are read."""
_UNREAD = {
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
_INCLUDES = ("-r", "--requirement", "-c", "--constraint")
DOCKERFILES = ("Dockerfile", "Containerfile")
DEVCONTAINERS = (".devcontainer/devcontainer.json", ".devcontainer.json")
"""Where one is looked for in a folder, in this order."""
_READ = frozenset(
    {*CONDA, *SCRIPTS, *DOCKERFILES, NATIVE, "pyproject.toml", "uv.lock", "requirements.txt", "runtime.txt",
     "devcontainer.json", ".devcontainer.json"}
)  # fmt: skip


def is_standard(name: str) -> bool:
    """Whether *name* is looked for in a folder."""
    return name in _READ or re.fullmatch(PYLOCK, name) is not None


def expand(assembly: Assembly, name: str, project: Project | None = None) -> None:
    """Put in what a native document only names: a devcontainer.json, ``-r FILE`` lines, dependency groups, extras."""
    _expand_devcontainer(assembly)
    packages = assembly.document.get("packages")
    if not isinstance(packages, dict):
        return
    pip = packages.get("pip")
    if isinstance(pip, list) and any(isinstance(item, str) and item.startswith(_INCLUDES) for item in pip):
        from .requirements import add_requirement

        key: Key = ("packages", "pip")
        items = [(item, assembly.locate((*key, at))) for at, item in enumerate(pip)]
        pip.clear()
        for item, place in items:
            if isinstance(item, str) and item.startswith(_INCLUDES):
                add_requirement(assembly, item, place, file=name)
            else:
                assembly.add(key, item, place)
    _expand_project(assembly, packages, project)


def _expand_devcontainer(assembly: Assembly) -> None:
    """Put in what the devcontainer.json says that ``build.devcontainer`` names."""
    build = assembly.document.get("build")
    if not isinstance(build, dict) or "devcontainer" not in build:
        return
    from .checks import CHECKS, Wrong
    from .devcontainer import read_devcontainer

    place = assembly.locate(("build", "devcontainer"))
    name = build.pop("devcontainer")
    try:
        if not isinstance(name, str):
            raise Wrong("has to be text")
        read_devcontainer(assembly, CHECKS["dockerfile"](name))
    except Wrong as wrong:
        assembly.report(place, wrong.cause, wrong.remedy)
    except SpecError as error:
        assembly.problems += error.problems


def _expand_project(assembly: Assembly, packages: dict[str, Any], project: Project | None) -> None:
    """Dependency groups and extras."""
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
                from .project import Project

                project = Project(assembly)
                assembly.use(project.name, "dependency groups and extras")
            if field == "groups":
                project.add_group(item, asked)
            else:
                project.add_extra(item, asked)


def ignore_rest(assembly: Assembly, reason: str) -> None:
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
    for path in DEVCONTAINERS[:1]:
        if assembly.folder.has(path) and assembly.folder.file(path) not in told:
            assembly.ignore(path, reason)


def _own_reason(assembly: Assembly, path: str) -> str | None:
    if path == "pyproject.toml" and not _has_packages(assembly):
        return "it has neither [project] nor [tool.jupyter-containers]"
    if path == "uv.lock" and not assembly.folder.has("pyproject.toml"):
        return "it belongs to a pyproject.toml, which is not there"
    return None


def _has_packages(assembly: Assembly) -> bool:
    from .project import Project

    try:
        return Project(assembly).has_packages
    except SpecError:  # another file won, so this one's errors are not the user's business now
        return True
