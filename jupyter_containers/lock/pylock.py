"""PEP 751 documents: checking foreign ones, and keeping of each what the image can use.

A universal resolution names the files for every platform: some 900 lines for numpy, pandas and scikit-learn, of which
a Linux container uses two per package. What is left is still a valid PEP 751 document, for the machines in
:data:`KEPT`, in which each package has the one file per machine that an installer would choose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ..errors import Problem, ResolutionError, SpecError
from .artifacts import best_wheel, file_name, marker_environment, marker_holds
from .model import Interpreter

__all__ = ["KEPT", "check_document", "environment_marker", "shape"]

KEPT = ("amd64", "arm64")
"""Debian architectures whose files stay in a lock, whichever machine wrote it."""

_SHA256 = re.compile(r"^[0-9a-f]{64}$")


def environment_marker(version: str) -> str:
    """The marker of all images with Python *version* (``3.13``); what PEP 751 calls ``environments``."""
    major, minor = version.split(".")[:2]
    return (
        f"python_full_version >= '{major}.{minor}' and python_full_version < '{major}.{int(minor) + 1}' "
        "and implementation_name == 'cpython' and sys_platform == 'linux'"
    )


def shape(
    document: Mapping[str, Any],
    interpreter: Interpreter,
    *,
    folder: Path,
    start: Path,
    architectures: Sequence[str],
    hashes: Mapping[str, frozenset[str]] | None = None,
) -> dict[str, Any]:
    """The document reduced to what images of *interpreter* can use, sorted by name.

    Paths, which are relative to *start*, become relative to *folder*. *hashes*: for some names the only sha256 that
    are accepted. :class:`ResolutionError` names packages that have nothing for one of *architectures*.
    """
    kept = tuple(dict.fromkeys([*architectures, *KEPT]))
    environments = {architecture: marker_environment(interpreter, architecture) for architecture in kept}
    groups = frozenset(document.get("default-groups", ()))
    packages: list[dict[str, Any]] = []
    missing: list[str] = []
    for package in document.get("packages", ()):
        name = canonicalize_name(str(package["name"]))
        holds = [key for key in kept if marker_holds(package.get("marker"), environments[key], groups=groups)]
        if not holds:
            continue
        entry: dict[str, Any] = {"name": name}
        if "version" in package:
            entry["version"] = str(package["version"])
        if len(holds) < len(kept):
            entry["marker"] = package["marker"]
        files = _files(package, interpreter, holds, (hashes or {}).get(name))
        needed = [architecture for architecture in holds if architecture in architectures]
        short = [
            architecture for architecture in needed if not files.get("any") and architecture not in files["wheels"]
        ]
        if short:
            missing.append(_explain(package, interpreter, short, (hashes or {}).get(name)))
            continue
        entry.update(_written(package, files, folder, start))
        packages.append(entry)
    if missing:
        unlike = [cause for cause in missing if "--hash" in cause]
        hint = "choose another version of it, another `python`, or another `base`"
        if unlike:
            hint = "correct the hash (`pip hash FILE` tells that of a file), or leave it out: the lock has them all"
        raise ResolutionError("; ".join(missing), hint=hint)
    packages.sort(key=lambda entry: (entry["name"], entry.get("version", ""), entry.get("marker", "")))
    return {
        "lock-version": "1.0",
        "environments": [environment_marker(interpreter.version)],
        "requires-python": f"=={interpreter.version}.*",
        "created-by": "jupyter-containers",
        "packages": packages,
    }


def check_document(document: Mapping[str, Any], file: Path, interpreter: Interpreter) -> None:
    """Whether a foreign document can be adopted: version, interpreter, a sha256 for every file.

    :class:`SpecError` with all problems of the file.
    """
    problems: list[Problem] = []

    def report(cause: str, remedy: str = "", key: str = "") -> None:
        problems.append(Problem(str(file), cause, remedy, key))

    version = document.get("lock-version")
    if not isinstance(version, str) or not version.startswith("1."):
        report(f"lock-version is {version!r}", "Only PEP 751's version 1.0 is read", "lock-version")
    requires = document.get("requires-python")
    if isinstance(requires, str):
        try:
            fits = SpecifierSet(requires).contains(
                interpreter.full_version or f"{interpreter.version}.99", prereleases=True
            )
        except InvalidSpecifier:
            report(f"{requires!r} is not a version specifier", key="requires-python")
        else:
            if not fits:
                have = interpreter.full_version or interpreter.version
                report(f"wants Python {requires}, the base has {have}", "Set `base` or lock anew", "requires-python")
    packages = document.get("packages")
    if not isinstance(packages, list):
        report("has no list of packages", key="packages")
        packages = []
    for number, package in enumerate(packages):
        key = f"packages[{number}]"
        if not isinstance(package, dict) or not isinstance(package.get("name"), str):
            report("a package without a name", key=key)
            continue
        for cause in _amiss(package):
            report(f"{package['name']}: {cause}", "Lock anew with hashes", key)
    if problems:
        raise SpecError(f"{file} cannot be adopted as a lock", problems=problems)


def _amiss(package: Mapping[str, Any]) -> Iterable[str]:
    sources = [key for key in ("wheels", "sdist", "archive", "vcs", "directory") if key in package]
    if not sources:
        yield "has no file, folder or repository"
    entries: list[Any] = []
    if isinstance(package.get("wheels"), list):
        entries += package["wheels"]
    entries += [package[key] for key in ("sdist", "archive") if key in package]
    for entry in entries:
        if not isinstance(entry, dict) or not (isinstance(entry.get("url"), str) or isinstance(entry.get("path"), str)):
            yield "a file without url or path"
            continue
        digest = entry.get("hashes", {}).get("sha256") if isinstance(entry.get("hashes"), dict) else None
        if not isinstance(digest, str) or not _SHA256.match(digest):
            yield f"{file_name(entry)} has no sha256"
        url = entry.get("url")
        if isinstance(url, str) and not url.startswith(("https://", "http://")):
            yield f"{url!r} is not an http(s) address"
    vcs = package.get("vcs")
    if vcs is not None and not (
        isinstance(vcs, dict) and isinstance(vcs.get("commit-id"), str) and vcs.get("type") == "git"
    ):
        yield "a repository is taken only from git, with its commit-id"
    directory = package.get("directory")
    if directory is not None and not (isinstance(directory, dict) and isinstance(directory.get("path"), str)):
        yield "a folder without a path"


def _files(
    package: Mapping[str, Any], interpreter: Interpreter, holds: Sequence[str], accepted: frozenset[str] | None
) -> dict[str, Any]:
    """``wheels``: architecture → entry; ``any``: whether there is something that fits everywhere (it is built)."""

    def allowed(entry: Mapping[str, Any]) -> bool:
        return accepted is None or entry.get("hashes", {}).get("sha256") in accepted

    wheels = [wheel for wheel in package.get("wheels", ()) if allowed(wheel)]
    best = {key: best_wheel(wheels, interpreter, key) for key in holds}
    archive = package.get("archive")
    if archive is not None and not allowed(archive):
        archive = None
    if archive is not None and file_name(archive).endswith(".whl"):
        fitting = {key: best_wheel([archive], interpreter, key) for key in holds}
        return {"wheels": {key: wheel for key, wheel in fitting.items() if wheel}, "any": False, "archive": True}
    sdist = package.get("sdist")
    built = archive is not None or "vcs" in package or "directory" in package or (sdist is not None and allowed(sdist))
    return {
        "wheels": {key: wheel for key, wheel in best.items() if wheel},
        "any": built,
        "archive": archive is not None,
    }


def _written(package: Mapping[str, Any], files: Mapping[str, Any], folder: Path, start: Path) -> dict[str, Any]:
    """The part of the entry that says where the package comes from."""

    def move(entry: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: entry[key] for key in ("url", "path", "name", "size", "hashes", "subdirectory") if key in entry}
        if "path" in kept:
            kept["path"] = _move(str(kept["path"]), folder, start)
        if "hashes" in kept:
            kept["hashes"] = {"sha256": kept["hashes"]["sha256"]}
        if kept.get("name") == file_name({key: kept[key] for key in ("url", "path") if key in kept}):
            del kept["name"]  # as PEP 751 has it: given only where the address does not end in it
        return kept

    if "directory" in package:
        directory = {"path": _move(str(package["directory"]["path"]), folder, start)}
        if package["directory"].get("subdirectory"):
            directory["subdirectory"] = package["directory"]["subdirectory"]
        return {"directory": directory}  # never editable: an image has no way back to the host's folder
    if "vcs" in package:
        return {"vcs": {key: value for key, value in package["vcs"].items() if isinstance(value, str)}}
    if files["archive"]:
        return {"archive": move(package["archive"])}
    unique = {file_name(wheel): move(wheel) for wheel in files["wheels"].values()}
    entry: dict[str, Any] = {}
    if "index" in package:
        entry["index"] = package["index"]
    if files["any"]:
        entry["sdist"] = move(package["sdist"])
    if unique:
        entry["wheels"] = [unique[name] for name in sorted(unique)]
    return entry


def _move(path: str, folder: Path, start: Path) -> str:
    target = (start / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise ResolutionError(
            f"{target} lies outside of the spec's folder {folder}",
            hint="copy the package into the folder and write `./NAME`",
        )
    return str(target.relative_to(folder.resolve()))


def _explain(
    package: Mapping[str, Any], interpreter: Interpreter, short: Sequence[str], accepted: frozenset[str] | None
) -> str:
    name = f"{package['name']} {package.get('version', '')}".strip()
    if accepted is not None:
        files = [*package.get("wheels", ()), *(package[kind] for kind in ("sdist", "archive") if kind in package)]
        have = [f"{file_name(file)} sha256:{file.get('hashes', {}).get('sha256', '?')}" for file in files]
        return (
            f"no file of {name} that fits has one of the hashes that the spec lists for it as `--hash` "
            f"(there is {', '.join(have[:2])}{f', and {len(have) - 2} more' if len(have) > 2 else ''})"
        )
    names = [file_name(wheel) for wheel in package.get("wheels", ())]
    if "archive" in package:
        names.append(file_name(package["archive"]))
    glibc = f", glibc {interpreter.glibc}" if interpreter.glibc else ""
    return (
        f"{name} has no wheel for CPython {interpreter.version} on Linux {', '.join(short)}{glibc} "
        f"(it has {', '.join(names[:6]) or 'none'}{' …' if len(names) > 6 else ''})"
    )
