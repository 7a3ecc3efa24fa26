"""What a source archive needs, read from it without running any of it.

A package without a wheel says what it depends on in its build, which is code. But nearly every source archive carries
the answer of the build that its maintainer made: core metadata (PKG-INFO, PEP 643) or setuptools' ``requires.txt``.
That is taken; the package itself is built in the sandbox when the image is.
"""

from __future__ import annotations

import email.parser
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import ArchiveError

__all__ = ["SourceMetadata", "parse_metadata", "read_sdist"]

_NAMES = re.compile(
    r"[^/]+/(?:(?P<project>pyproject\.toml)|(?P<core>PKG-INFO)|(?:[^/]+/){0,2}[^/]+\.egg-info/(?P<egg>requires\.txt|PKG-INFO))"
)
_LARGEST_TEXT = 1 << 20
_LARGEST_ARCHIVE = 2 << 30
"""Bytes of all files together: more is no source of a Python package."""


@dataclass(frozen=True, slots=True)
class SourceMetadata:
    """Dependencies of a source archive."""

    requires: tuple[str, ...]
    """PEP 508."""
    extras: tuple[str, ...]
    told_by: str
    """The file of the archive that says so."""
    name: str = ""
    version: str = ""
    """Both where the build was asked, for what has neither from an index."""


def read_sdist(file: Path, name: str) -> SourceMetadata | None:
    """What the source archive *file* (called *name*: its ending decides how it is read) depends on; None where it
    does not tell. :class:`ArchiveError` for what is no archive."""
    texts: dict[str, str] = {}
    try:
        for path, text in _read(file, name):
            match = _NAMES.fullmatch(path)
            assert match is not None  # _read gives no others
            kind = "project" if match["project"] else "core" if match["core"] else f"egg {match['egg']}"
            texts.setdefault(kind, text)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise ArchiveError(
            f"{name} is no source archive: {error}", hint="take another version of the package"
        ) from error
    return _from_project(texts.get("project")) or _from_core(texts.get("core")) or _from_egg(texts)


def _read(file: Path, name: str) -> Iterator[tuple[str, str]]:
    """(path, text) of the files that may tell."""
    total = 0
    if name.endswith(".zip"):
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if _NAMES.fullmatch(info.filename) and info.file_size <= _LARGEST_TEXT:
                    yield info.filename, archive.read(info).decode("utf-8", "replace")
        return
    with tarfile.open(file, "r:*") as tar:
        for member in tar:
            total += member.size
            if total > _LARGEST_ARCHIVE:
                raise tarfile.ReadError(f"it unpacks to more than {_LARGEST_ARCHIVE >> 30} GiB")
            path = member.name.removeprefix("./")
            if member.isreg() and member.size <= _LARGEST_TEXT and _NAMES.fullmatch(path):
                stream = tar.extractfile(member)
                if stream is not None:
                    yield path, stream.read().decode("utf-8", "replace")


def _from_project(text: str | None) -> SourceMetadata | None:
    """PEP 621, where the dependencies are not said to come from the build."""
    try:
        project: Any = tomllib.loads(text or "").get("project")
    except tomllib.TOMLDecodeError:
        return None
    if not isinstance(project, dict) or {"dependencies", "optional-dependencies"} & set(project.get("dynamic", ())):
        return None
    requires = [str(item) for item in project.get("dependencies", ())]
    extras = project.get("optional-dependencies", {})
    if not isinstance(extras, dict):
        return None
    for extra, items in extras.items():
        requires += [_with_marker(str(item), f"extra == '{extra}'") for item in items]
    return SourceMetadata(tuple(requires), tuple(extras), "pyproject.toml")


def _from_core(text: str | None) -> SourceMetadata | None:
    """PEP 643: from metadata version 2.2 on, what is not called dynamic holds for every build."""
    if text is None:
        return None
    message = email.parser.HeaderParser().parsestr(text)
    version = re.fullmatch(r"(\d+)\.(\d+)", message.get("Metadata-Version", "").strip())
    if version is None or (int(version[1]), int(version[2])) < (2, 2) or "requires-dist" in _dynamic(message):
        return None
    return _listed(message, "PKG-INFO")


def _from_egg(texts: dict[str, str]) -> SourceMetadata | None:
    """What the build wrote when the archive was made.

    setuptools lists in ``requires.txt`` (none: nothing is needed), other backends in PKG-INFO; distutils, which leaves
    a PKG-INFO and no egg-info, knows no dependencies.
    """
    listed = texts.get("egg requires.txt")
    if listed is not None:
        return _parse_requires(listed)
    for kind in ("egg PKG-INFO", "core"):
        if kind in texts:
            message = email.parser.HeaderParser().parsestr(texts[kind])
            # Called dynamic, and nothing listed: that its build needs nothing is not said.
            if "requires-dist" in _dynamic(message) and not message.get_all("Requires-Dist"):
                return None
            return _listed(message, "PKG-INFO")
    return None


def _dynamic(message: Any) -> set[str]:
    return {value.strip().lower() for value in message.get_all("Dynamic", [])}


def _listed(message: Any, told_by: str) -> SourceMetadata:
    requires = tuple(" ".join(value.split()) for value in message.get_all("Requires-Dist", []))
    return SourceMetadata(requires, tuple(message.get_all("Provides-Extra", [])), told_by)


def parse_metadata(text: str, told_by: str) -> SourceMetadata:
    """A METADATA file, which a build made. :class:`ArchiveError` where it names no package."""
    message = email.parser.HeaderParser().parsestr(text)
    name, version = (" ".join(message.get(field, "").split()) for field in ("Name", "Version"))
    if not name or not version:
        raise ArchiveError(f"{told_by} gave metadata without a name or a version", hint="take another version of it")
    return replace(_listed(message, told_by), name=name, version=version)


def _parse_requires(text: str) -> SourceMetadata:
    """setuptools' format: requirements, then sections ``[extra:marker]``, either part of which may be missing."""
    requires: list[str] = []
    extras: list[str] = []
    marker = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            extra, _, condition = line[1:-1].partition(":")
            if extra and extra not in extras:
                extras.append(extra)
            parts = [f"extra == '{extra}'"] if extra else []
            marker = " and ".join([*parts, *([f"({condition})"] if condition else [])])
        elif line and not line.startswith("#"):
            requires.append(_with_marker(line, marker))
    return SourceMetadata(tuple(requires), tuple(extras), "requires.txt")


def _with_marker(requirement: str, marker: str) -> str:
    if not marker:
        return requirement
    bare, semicolon, own = requirement.partition(";")
    return f"{bare.strip()} ; ({own.strip()}) and {marker}" if semicolon else f"{requirement} ; {marker}"
