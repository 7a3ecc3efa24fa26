"""What of a lock is of the right type and can't be right: names, hashes, paths that lead out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from .added import MOST_GROUPS, python_names
from .model import DebianPackage, Lock

__all__ = ["Place", "find_wrong"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PINNED = re.compile(r"[A-Za-z0-9._:/\[\]-]+@sha256:[0-9a-f]{64}")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERSION = re.compile(r"[A-Za-z0-9.+~:-]+")
_PYTHON = re.compile(r"3\.[0-9]{1,3}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_KINDS = frozenset({"debian", "oci", "environment", "scratch", "image", "dockerfile"})

Place = tuple[str | int, ...]
"""A key in the document."""


def find_wrong(lock: Lock) -> Iterator[tuple[Place, str]]:
    """(place, cause) of values that are of the right type and can't be right."""
    if not _DIGEST.fullmatch(lock.spec_digest):
        yield ("spec-digest",), "is not sha256: and 64 hex digits"
    if lock.base.kind not in _KINDS:
        yield ("base", "kind"), f"{lock.base.kind!r} is none of {', '.join(sorted(_KINDS))}"
    if lock.base.kind == "debian" and not lock.base.packages:
        yield ("base", "packages"), "is missing"
    if lock.base.date and not _DATE.fullmatch(lock.base.date):
        yield ("base", "date"), f"{lock.base.date!r} is not of the form 2026-11-21T09:15:44Z"
    if lock.base.kind != "debian" and not _DIGEST.fullmatch(lock.base.digest):
        yield ("base", "digest"), "is not sha256: and 64 hex digits"
    yield from _wrong_images(lock)
    yield from _wrong_added(lock)
    for table, groups in (("base", lock.base.packages), ("apt", lock.apt)):
        for architecture, packages in groups.items():
            place = ("base", "packages", architecture) if table == "base" else ("apt", architecture)
            if not _ARCHITECTURE.fullmatch(architecture):
                yield place, f"{architecture!r} is no architecture"
            names: set[str] = set()
            for number, package in enumerate(packages):
                for cause in _wrong_package(package, architecture, names):
                    yield (*place, number), cause
    for number, item in enumerate(lock.inputs):
        if not _SHA256.fullmatch(item.sha256):
            yield ("inputs", number), f"{item.path}: its sha256 is not 64 hex digits"
    if lock.python is not None:
        yield from _wrong_python(lock)


def _wrong_added(lock: Lock) -> Iterator[tuple[Place, str]]:
    if len(lock.added) > MOST_GROUPS:
        yield ("added",), f"has {len(lock.added)} groups, and {MOST_GROUPS} are the most"
    names, seen = python_names(lock), set[str]()
    for number, group in enumerate(lock.added):
        for name in group:
            if name not in names or name in seen:
                what = "is no Python package of this lock" if name not in names else "is there twice"
                yield ("added", number), f"{name!r} {what}"
            seen.add(name)


def _wrong_images(lock: Lock) -> Iterator[tuple[Place, str]]:
    if lock.base.kind == "image" and len(lock.base.images) != 1:
        yield ("base", "images"), "has to be the one image"
    for number, image in enumerate(lock.base.images):
        if not _DIGEST.fullmatch(image.digest):
            yield ("base", "images", number), f"{image.name}: its digest is not sha256: and 64 hex digits"
        # It is fetched by this: another image than the one that was locked would be told, a tag could be anything.
        if image.reference and not _PINNED.fullmatch(image.reference):
            yield ("base", "images", number), f"{image.name}: {image.reference!r} is no name with a digest"


def _wrong_package(package: DebianPackage, architecture: str, names: set[str]) -> Iterator[str]:
    if not _PACKAGE.fullmatch(package.name):
        yield f"{package.name!r} is no package name"
    if package.name in names:
        yield f"{package.name} is there twice"
    names.add(package.name)
    if not _VERSION.fullmatch(package.version):
        yield f"{package.name}: {package.version!r} is no version"
    if package.architecture not in {architecture, "all"}:
        yield f"{package.name} is for {package.architecture}"
    if not _is_inside(package.filename) or not package.filename.endswith(".deb"):
        yield f"{package.name}: {package.filename!r} is no path in an archive"
    if not _SHA256.fullmatch(package.sha256):
        yield f"{package.name}: its sha256 is not 64 hex digits"
    if package.size <= 0:
        yield f"{package.name}: {package.size} bytes cannot be its size"
    if package.archive and not package.archive.startswith(("http://", "https://")):
        yield f"{package.name}: {package.archive!r} is no http(s) address"


def _wrong_python(lock: Lock) -> Iterator[tuple[Place, str]]:
    assert lock.python is not None
    interpreter, document = lock.python.interpreter, lock.python.pylock
    if not _PYTHON.fullmatch(interpreter.version):
        yield ("python", "interpreter", "version"), f"{interpreter.version!r} is not of the form 3.13"
    for key, path in (("path", interpreter.path), ("environment", interpreter.environment)):
        if not path.startswith("/") or not _is_inside(path[1:]):
            yield ("python", "interpreter", key), f"{path!r} is no absolute path"
    if document.get("lock-version") != "1.0":
        yield ("python", "lock-version"), f"{document.get('lock-version')!r} is not PEP 751's 1.0"
    packages = document.get("packages", [])
    if not isinstance(packages, list):
        yield ("python", "packages"), "is no list"
        return
    for number, package in enumerate(packages):
        for cause in _wrong_python_package(package):
            yield ("python", "packages", number), cause


def _wrong_python_package(package: Any) -> Iterator[str]:
    if not isinstance(package, dict) or not isinstance(package.get("name"), str):
        yield "a package without a name"
        return
    name = package["name"]
    files = package.get("wheels", [])
    files = [
        *(files if isinstance(files, list) else [files]),
        *(package[key] for key in ("sdist", "archive") if key in package),
    ]
    others = [key for key in ("directory", "vcs") if isinstance(package.get(key), dict)]
    if not files and not others:
        yield f"{name} has no file"
    for entry in files:
        if not isinstance(entry, dict):
            yield f"{name}: a file that is no table"
            continue
        digest = entry.get("hashes", {}).get("sha256") if isinstance(entry.get("hashes"), dict) else None
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            yield f"{name}: a file without a sha256 of 64 hex digits"
        url, path = entry.get("url"), entry.get("path")
        if isinstance(url, str):
            if not url.startswith(("http://", "https://")):
                yield f"{name}: {url!r} is no http(s) address"
        elif not isinstance(path, str) or not _is_inside(path):
            yield f"{name}: {path!r} is no path inside of the spec's folder"
    directory = package.get("directory")
    if isinstance(directory, dict):
        path = directory.get("path")
        if not isinstance(path, str) or not (path == "." or _is_inside(path)):
            yield f"{name}: {path!r} is no path inside of the spec's folder"
    vcs = package.get("vcs")
    if isinstance(vcs, dict) and not all(isinstance(vcs.get(key), str) for key in ("type", "url", "commit-id")):
        yield f"{name}: a repository needs type, url and commit-id"


def _is_inside(path: str) -> bool:
    """A relative path that stays where it starts."""
    return bool(path) and not path.startswith("/") and "\\" not in path and ".." not in PurePosixPath(path).parts
