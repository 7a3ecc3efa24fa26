"""What a spec asks for in Python packages, as lines that uv reads; local packages checked before uv sees them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from ..errors import ResolutionError, SpecError
from ..spec.model import DOCKERFILE, EnvironmentSpec, LoadedSpec
from ..spec.requirement import HASH, distribution_name, local_path, normalise_name

__all__ = [
    "absolute",
    "called",
    "given_hashes",
    "kernel_packages",
    "needs_ipykernel",
    "requirement_lines",
    "takes_image_as_it_is",
    "untold_folders",
    "wants_python",
]

_IMAGES = ("oci-archive:", "oci:", "image:", DOCKERFILE)
"""Bases that were made elsewhere, and say how they are run."""


def wants_python(spec: EnvironmentSpec, *, adopted: bool = False) -> bool:
    """Whether an interpreter is part of the environment."""
    if spec.python == "none":
        return False
    return adopted or spec.python is not None or bool(spec.packages.pip) or needs_ipykernel(spec)


def needs_ipykernel(spec: EnvironmentSpec) -> bool:
    """A Python kernel needs it, unless the spec starts a kernel of its own that is something else."""
    if spec.kernel.argv:
        return any("ipykernel" in item for item in spec.kernel.argv)
    return spec.kernel.language == "python" and not takes_image_as_it_is(spec)


def takes_image_as_it_is(spec: EnvironmentSpec, *, adopted: bool = False) -> bool:
    """Whether cells run on the Python of an image that is the base, with the packages that it has: the spec says
    nothing of Python. Its kernel is then injected beside the image, which gets no virtual environment.

    *adopted*: the spec takes in a foreign lock of Python packages.
    """
    plain = not (adopted or spec.packages.pip or spec.kernel.argv) and spec.python in {None, "none"}
    return plain and spec.kernel.language == "python" and spec.origin.startswith(_IMAGES)


def kernel_packages(spec: EnvironmentSpec) -> tuple[str, ...]:
    """What each environment of a Python kernel has: the kernel, and pip, which ``%pip install`` in a cell runs."""
    return ("ipykernel", "pip") if needs_ipykernel(spec) else ()


def requirement_lines(loaded: LoadedSpec) -> list[str]:
    """Lines of a requirements file: the spec's, with paths made absolute, and what the kernel needs."""
    wanted = loaded.spec.packages.pip
    named = {distribution_name(item) for item in wanted}
    lines = [absolute(item, loaded.folder) for item in wanted]
    return [*lines, *(name for name in kernel_packages(loaded.spec) if name not in named)]


def untold_folders(loaded: LoadedSpec) -> list[tuple[str, Path, str]]:
    """The local packages that do not say by themselves what they need (PEP 621 with ``dynamic`` fields, or nothing of
    it): (requirement, folder, cause)."""
    found = []
    for item in loaded.spec.packages.pip:
        path = local_path(item)
        if path is not None and (loaded.folder / path).is_dir():
            folder = (loaded.folder / path).resolve()
            if cause := _untold(folder):
                found.append((item, folder, cause))
    return found


def absolute(requirement: str, folder: Path) -> str:
    """A path requirement with its path absolute, since uv works elsewhere; others as they are."""
    path = local_path(requirement)
    if path is None:
        return requirement
    written, hashes, given = requirement.partition(" --hash=")
    rest = re.sub(r"^\.{1,2}(/[^\[;]*)?", "", written).strip()
    # A space before the marker's semicolon, or it would be taken for a part of the path.
    rest = f" {rest}" if rest.startswith(";") else rest.replace(";", " ;", 1)
    return f"{(folder / path).resolve()}{rest}{hashes}{given}"


def called(line: str, folder: Path, name: str) -> str:
    """The :func:`absolute` *line* of a folder, with the package's name before it: uv can't tell it from a setup.py."""
    rest = line.removeprefix(str(folder))
    extras, bracket, marker = rest.partition("]") if rest.startswith("[") else ("", "", rest)
    return f"{name}{extras}{bracket} @ {folder.as_uri()}{marker}"


def _untold(folder: Path) -> str:
    """Why *folder* does not say what it needs; empty where it does."""
    project = folder / "pyproject.toml"
    try:
        table = tomllib.loads(project.read_text("utf-8")).get("project")
    except FileNotFoundError:
        table = None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"cannot read {project}: {error}", hint="correct the file") from error
    dynamic = table.get("dynamic", ()) if isinstance(table, dict) else ()
    if not isinstance(table, dict) or "name" not in table:
        return f"{folder} has no pyproject.toml with a [project] table"
    if "dependencies" in dynamic or "optional-dependencies" in dynamic:
        return f"{project} has dynamic dependencies"
    if "version" in dynamic or "version" not in table:
        return f"{project} has a dynamic version"
    return ""


def given_hashes(requirements: Sequence[str]) -> dict[str, frozenset[str]]:
    """Name → the sha256 that the spec accepts, for requirements with ``--hash``."""
    found: dict[str, frozenset[str]] = {}
    for item in requirements:
        bare, *hashes = item.split(" --hash=")
        name = distribution_name(bare)
        if not hashes or name is None:
            continue
        matches = [re.fullmatch(HASH, value.strip()) for value in hashes]
        sha256 = frozenset(match["digest"] for match in matches if match and match["algorithm"] == "sha256")
        if not sha256:
            raise ResolutionError(f"{bare}: none of its hashes is a sha256", hint="give `--hash=sha256:…`")
        found[normalise_name(name)] = found.get(normalise_name(name), frozenset()) | sha256
    return found
