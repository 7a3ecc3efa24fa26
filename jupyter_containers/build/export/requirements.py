"""A lock's Python packages as a requirements.txt that pip installs with ``--require-hashes``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import LockError
from ...lock.artifacts import Artifact, select_artifacts
from ...lock.model import PythonPackages

__all__ = ["find_pip", "local_folders", "repositories", "write_requirements"]


def write_requirements(python: PythonPackages) -> str:
    """Each package of the lock at its version, with the hashes of all its files; folders and repositories, which have
    none, are left out."""
    lines = [line for package in python.pylock.get("packages", ()) for line in _lines(package)]
    return "".join(f"{line}\n" for line in lines)


def find_pip(python: PythonPackages, architecture: str) -> Artifact:
    """pip's wheel, to install the rest with; :class:`LockError` where the lock has none."""
    for artifact in select_artifacts(python, architecture=architecture):
        if artifact.name == "pip" and artifact.kind == "wheel":
            return artifact
    raise LockError("the lock has no pip, which an export installs with", hint='add "pip" to `packages.pip`')


def local_folders(python: PythonPackages, architecture: str) -> tuple[Artifact, ...]:
    """Packages that are folders, or files, of the spec's folder."""
    found = select_artifacts(python, architecture=architecture)
    return tuple(item for item in found if item.kind != "vcs" and "://" not in item.url_or_path)


def repositories(python: PythonPackages, architecture: str) -> tuple[Artifact, ...]:
    return tuple(item for item in select_artifacts(python, architecture=architecture) if item.kind == "vcs")


def _lines(package: Mapping[str, Any]) -> Iterator[str]:
    marker = f" ; {package['marker']}" if package.get("marker") else ""
    archive = package.get("archive")
    if archive is not None and "url" in archive:
        yield f"{package['name']} @ {archive['url']}{marker} {_hash(archive)}"
        return
    files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
    remote = [file for file in files if "url" in file]
    if not remote:
        return
    hashes = " \\\n    ".join(sorted({_hash(file) for file in remote}))
    yield f"{package['name']}=={package['version']}{marker} \\\n    {hashes}"


def _hash(file: Mapping[str, Any]) -> str:
    return f"--hash=sha256:{file['hashes']['sha256']}"
