"""Which file of a Python package is for a machine: wheel tags and markers, evaluated for the image, not the host.

(PEP 425 tags, PEP 600 manylinux, PEP 508 markers, PEP 751 lock documents.)
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from packaging.markers import InvalidMarker, Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from ..errors import LockError
from .model import Interpreter, PythonPackages

__all__ = ["MACHINES", "Artifact", "best_wheel", "file_name", "marker_environment", "marker_holds", "select_artifacts"]

MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64", "ppc64el": "ppc64le", "s390x": "s390x"}
"""Debian architecture → ``uname -m``."""

_FIRST_GLIBC = {"x86_64": 5}
"""Least minor version of glibc 2 in manylinux tags; 17 for every other machine (PEP 600)."""
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}

Kind = Literal["wheel", "sdist", "directory", "vcs"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing to install."""

    name: str
    version: str
    """Empty where the lock does not tell (a folder with a dynamic version)."""
    kind: Kind
    filename: str
    url_or_path: str
    """An http(s) URL, a path relative to the spec's folder, or ``git+https://…@commit``."""
    sha256: str
    """Hex; empty for folders (hashed as inputs) and version control (the commit is the hash)."""
    size: int | None = None


def select_artifacts(packages: PythonPackages, *, architecture: str) -> tuple[Artifact, ...]:
    """What is installed of a lock on *architecture* (Debian's name), sorted by name.

    :class:`LockError` where a package has nothing that fits.
    """
    environment = marker_environment(packages.interpreter, architecture)
    document = packages.pylock
    groups = frozenset(document.get("default-groups", ()))
    found = [
        _select(package, packages.interpreter, architecture)
        for package in document.get("packages", ())
        if marker_holds(package.get("marker"), environment, groups=groups)
    ]
    return tuple(sorted(found, key=lambda item: (item.name, item.version)))


def best_wheel(
    wheels: Sequence[Mapping[str, Any]], interpreter: Interpreter, architecture: str
) -> Mapping[str, Any] | None:
    """The wheel that an installer would take there; None where none fits."""
    ranks = _ranks(interpreter.version, interpreter.glibc, MACHINES.get(architecture, architecture))
    best: tuple[int, int, str] | None = None
    choice: Mapping[str, Any] | None = None
    for wheel in wheels:
        name = file_name(wheel)
        try:
            _, _, build, tags = parse_wheel_filename(name)
        except InvalidWheelFilename:
            continue  # indexes hold some from before the rules; no installer takes them
        rank = min((ranks[tag] for tag in tags if tag in ranks), default=None)
        if rank is None:
            continue
        order = (rank, -(build[0] if build else -1), name)
        if best is None or order < best:
            best, choice = order, wheel
    return choice


def marker_environment(interpreter: Interpreter, architecture: str) -> dict[str, str]:
    """PEP 508 variables in the image. The kernel's version is not known ahead, so those two are empty."""
    full = interpreter.full_version or f"{interpreter.version}.0"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": MACHINES.get(architecture, architecture),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": interpreter.version,
        "sys_platform": "linux",
    }


def marker_holds(text: str | None, environment: Mapping[str, str], *, groups: frozenset[str] = frozenset()) -> bool:
    """Whether a package with this marker is installed. Of a lock's extras none is, of its groups the default ones."""
    if not text:
        return True
    try:
        marker = Marker(text)
        return marker.evaluate({**environment, "extras": frozenset(), "dependency_groups": groups}, context="lock_file")
    except (InvalidMarker, ValueError) as error:
        cause = str(error).splitlines()[0]
        raise LockError(f"the marker {text!r} is not valid: {cause}", hint="run `jupyter containers lock`") from error


def file_name(entry: Mapping[str, Any]) -> str:
    """A file's name: as the lock has it, or the last part of its path or URL."""
    name = entry.get("name")
    if isinstance(name, str):
        return name
    return posixpath.basename(unquote(urlsplit(str(entry.get("path") or entry.get("url") or "")).path))


def _select(package: Mapping[str, Any], interpreter: Interpreter, architecture: str) -> Artifact:
    name, version = str(package["name"]), str(package.get("version", ""))
    if (directory := package.get("directory")) is not None:
        path = str(directory["path"])
        return Artifact(name, version, "directory", posixpath.basename(path), path, "")
    if (vcs := package.get("vcs")) is not None:
        address = f"{vcs['type']}+{vcs.get('url') or vcs.get('path')}@{vcs['commit-id']}"
        if vcs.get("subdirectory"):
            address += f"#subdirectory={vcs['subdirectory']}"
        return Artifact(name, version, "vcs", name, address, "")
    if (archive := package.get("archive")) is not None:
        kind: Kind = "wheel" if file_name(archive).endswith(".whl") else "sdist"
        return _artifact(name, version, kind, archive)
    wheel = best_wheel(package.get("wheels", ()), interpreter, architecture)
    if wheel is not None:
        return _artifact(name, version, "wheel", wheel)
    if (sdist := package.get("sdist")) is not None:
        return _artifact(name, version, "sdist", sdist)
    have = ", ".join(file_name(item) for item in package.get("wheels", ())) or "nothing"
    raise LockError(
        f"the lock has no file of {name} {version} for CPython {interpreter.version} on {architecture} (it has {have})",
        hint=f"run `jupyter containers lock --architecture {architecture}`",
    )


def _artifact(name: str, version: str, kind: Kind, entry: Mapping[str, Any]) -> Artifact:
    size = entry.get("size")
    where = str(entry.get("url") or entry.get("path"))
    return Artifact(
        name,
        version,
        kind,
        file_name(entry),
        where,
        str(entry["hashes"]["sha256"]),
        size if isinstance(size, int) else None,
    )


@lru_cache(maxsize=8)
def _ranks(python: str, glibc: str, machine: str) -> dict[Tag, int]:
    """Tag → how good a fit, 0 the best: the order of pip for CPython of that version on that glibc."""
    major, minor = (int(part) for part in python.split(".")[:2])
    platforms = list(_platforms(glibc, machine))
    tags = [
        *cpython_tags((major, minor), abis=[f"cp{major}{minor}"], platforms=platforms),
        *compatible_tags((major, minor), interpreter=f"cp{major}{minor}", platforms=platforms),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def _platforms(glibc: str, machine: str) -> Iterator[str]:
    newest = int(glibc.split(".")[1]) if glibc else 28  # an unknown base: what its manylinux_2_28 wheels need
    for minor in range(newest, _FIRST_GLIBC.get(machine, 17) - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        legacy = _LEGACY.get((2, minor))
        if legacy is not None:
            yield f"{legacy}_{machine}"
    yield f"linux_{machine}"
