"""What a Python package is built with: its build requirements, fetched before any of its code runs.

A package says in its pyproject.toml what builds it (PEP 518), and its build backend may ask for more when it is asked
(PEP 517, ``get_requires_for_build_wheel``). What is taken is wheels of the index and nothing else: installing a wheel
runs nothing of it, so uv does that on the host. The package's own code then runs in a sandbox without network, in which
they are, read-only.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from ..errors import ArchiveError, BuildError, ContainersError
from ..image.tree import remove_tree
from ..lock import filetext
from ..lock.indexes import find_indexes
from ..lock.uv import failure, own_options, run_uv
from .context import Context
from .plan import PythonStep
from .tree import Tree
from .venv import make_environment
from .wheels import finish, platform_of

__all__ = ["ASKED", "PLACE", "Backend", "make_build_environment", "read_asked", "read_backend"]

PLACE = "/run/jc/environment"
"""Of the environment that a package is built in, in the sandbox."""

ASKED = "requires.json"
"""In the output folder: what the backend asks for besides."""

_LARGEST = 1 << 20
_MOST = 200
"""Build requirements of one package; no honest one has as many."""


class Backend(NamedTuple):
    """What builds a source. Without ``[build-system]`` it is setuptools, as for pip."""

    name: str = "setuptools.build_meta:__legacy__"
    """An entry point: ``module:object``."""
    path: tuple[str, ...] = ()
    """Folders of the source that the backend is looked for in first."""
    requires: tuple[str, ...] = ("setuptools>=40.8.0",)


def read_backend(source: Path, label: str) -> Backend:
    """What the pyproject.toml of *source*, whose content is not trusted, says. :class:`BuildError` names *label*."""
    try:
        with Tree(source) as tree:
            content = tree.read("pyproject.toml", _LARGEST)
        table = tomllib.loads((content or b"").decode()).get("build-system")
        return Backend() if table is None else msgspec.convert(_known(table), Backend)
    except (OSError, ArchiveError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BuildError(
            f"{label}: its pyproject.toml can't be read: {error}", hint="install another version of the package"
        ) from error


def _known(table: Any) -> tuple[Any, Any, Any]:
    """The three fields of the table; a name is not required (PEP 518: setuptools then)."""
    if not isinstance(table, dict) or "requires" not in table:
        raise msgspec.ValidationError("[build-system] has no requires")
    return table.get("build-backend", Backend().name), table.get("backend-path", ()), table["requires"]


def read_asked(output: Path, label: str) -> tuple[str, ...]:
    """What the backend, whose code wrote it, asked for."""
    try:
        with Tree(output) as tree:
            content = tree.read(ASKED, _LARGEST)
        return msgspec.convert(json.loads(content or b"[]"), tuple[str, ...])
    except (OSError, ArchiveError, ValueError, msgspec.ValidationError) as error:
        raise BuildError(f"{label}: its build backend asks for what can't be read: {error}") from error


def make_build_environment(
    requirements: Sequence[str], folder: Path, step: PythonStep, context: Context, *, label: str
) -> None:
    """A virtual environment with *requirements* in *folder*, to be seen at :data:`PLACE`.

    :class:`BuildError` for a requirement that is no package of an index, or of which there is no wheel.
    """
    wanted = [_checked(item, label) for item in requirements[: _MOST + 1]]
    if len(wanted) > _MOST:
        raise BuildError(f"{label} wants more than {_MOST} packages to be built")
    remove_tree(folder)
    folder.mkdir()
    interpreter = msgspec.structs.replace(step.interpreter, environment=PLACE)
    if wanted:
        context.reporter.phase("downloading", f"what builds {label}: {', '.join(wanted)}")
        work = folder.with_name(folder.name + "-work")
        work.mkdir(exist_ok=True)
        # A project of its own ends uv's search for configuration in the folders above.
        (work / "pyproject.toml").write_text(filetext.dump({"tool": {"uv": own_options()}}), "utf-8")
        done = run_uv(
            [
                "pip", "install", "--quiet", "--prefix", str(folder), "--only-binary", ":all:",
                "--python-version", interpreter.version, "--python-platform", platform_of(step.architecture),
                *find_indexes(context.loaded.spec.packages).arguments(),
                *(["--offline"] if context.settings.offline else []), *wanted,
            ],
            work, cache_dir=context.store.cache_dir("uv"),
        )  # fmt: skip
        if done.returncode != 0:
            raise _not_had(failure(done.stderr), label, context)
        finish(folder, interpreter)
    make_environment(folder, interpreter)


def _checked(text: str, label: str) -> str:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise BuildError(f"{label} wants {text!r} to be built: {error}") from error
    if requirement.url is not None:
        raise BuildError(
            f"{label} wants {text} to be built: an address is not fetched for that",
            hint=f"install {label} with a `build.run` line, which has network",
        )
    return str(requirement)


def _not_had(error: ContainersError, label: str, context: Context) -> BuildError:
    return BuildError(
        f"cannot get what builds {label}: {error.message}",
        step=context.reporter.title, log=context.reporter.log,
        hint=f"take a version of {label} that has a wheel, or install it with a `build.run` line",
    )  # fmt: skip
