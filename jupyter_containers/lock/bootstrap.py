"""What a fresh Debian base holds, and which of its interpreters a spec gets (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from ..errors import ResolutionError
from . import version as versions
from .apt import Universe

__all__ = ["NO_PYTHON", "DebianPython", "bootstrap_names", "choose_python", "parse_python"]

NO_PYTHON = "none"

_ADDED = ("apt", "ca-certificates", "tzdata")
"""Beside what Debian calls essential and required (the set of its slim images): `apt` for run steps, certificates for
HTTPS from a notebook, time zones for pandas and datetime."""

_SUITES = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
"""Python of each stable suite: for messages only, the index decides."""

_NUMBERED = re.compile(r"^python3\.[0-9]+$")


@dataclass(frozen=True, slots=True)
class DebianPython:
    """An interpreter of a suite."""

    package: str
    """``python3``, or ``python3.14`` where it is not the suite's default."""
    version: str
    """Upstream's, whole: ``3.13.5``."""

    @property
    def path(self) -> str:
        return f"/usr/bin/{self.package}"

    @property
    def short(self) -> str:
        """``3.13``."""
        return ".".join(self.version.split(".")[:2])


def bootstrap_names(universe: Universe) -> list[str]:
    """Names of the packages that a base starts from, before dependencies; sorted."""
    found = set(_ADDED)
    for index in universe.indexes:
        if index.suite not in universe.optional:
            found.update(index.essential)
            # A stanza of an update may have another priority than the one it replaces: the newest one's counts.
            found.update(name for name in index.required if universe.versions(name)[0].priority == "required")
    return sorted(name for name in found if universe.versions(name))


def parse_python(text: str) -> SpecifierSet:
    """A spec's ``python``: a specifier (PEP 440) or a version; ``3.13`` stands for all of 3.13."""
    text = text.strip()
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)*", text):
            return SpecifierSet(f"=={text}.*" if text.count(".") < 2 else f"=={text}")
        return SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ResolutionError(
            f"python: {text!r} is neither a version nor a specifier", hint='for example "3.13" or ">=3.11,<3.14"'
        ) from error


def choose_python(universe: Universe, wanted: str | None, *, suite: str) -> DebianPython | None:
    """The interpreter for a spec's ``python``; None where it wants none.

    Raises :class:`ResolutionError` that tells which suites carry which version.
    """
    if wanted == NO_PYTHON:
        return None
    found = _interpreters(universe)
    if not found:
        raise ResolutionError(f"debian:{suite} has no Python 3", hint='set `python = "none"`, or another suite as base')
    if wanted is None:
        return found[0]
    accepted = parse_python(wanted)
    for item in found:
        if accepted.contains(item.version, prereleases=True):
            return item
    elsewhere = [
        f"debian:{other} has {python}"
        for other, python in _SUITES.items()
        if other != suite and accepted.contains(f"{python}.99" if python.count(".") < 2 else python, prereleases=True)
    ]
    have = ", ".join(item.version for item in found)
    known = ", ".join(f"{other} {python}" for other, python in _SUITES.items())
    raise ResolutionError(
        f"python {wanted}: debian:{suite} has Python {have}; no package of it satisfies the spec (suites: {known})",
        hint=f"{' and '.join(elsewhere)}: set `base`"
        if elsewhere
        else "change `python`, or take an image that has it as `base`",
    )


def _interpreters(universe: Universe) -> list[DebianPython]:
    """The suite's default first, then others, the newest first."""
    found: list[DebianPython] = []
    default = universe.versions("python3")
    if default:
        # The package python3 follows python3.N, whose version is the interpreter's own.
        minor = ".".join(versions.upstream(default[0].version).split(".")[:2])
        real = universe.versions(f"python{minor}")
        found.append(DebianPython("python3", _upstream((real or default)[0].version)))
    names = {name for index in universe.indexes for name in index.names() if _NUMBERED.match(name)}
    others = [
        DebianPython(name, _upstream(universe.versions(name)[0].version)) for name in names if universe.versions(name)
    ]
    others.sort(key=lambda item: Version(item.version), reverse=True)
    return found + [item for item in others if not found or item.short != found[0].short]


def _upstream(version: str) -> str:
    """``3.13.5`` of ``3.13.5-2+deb13u5``; a snapshot's ``3.15.0~a3`` as PEP 440 has it."""
    text = versions.upstream(version).replace("~", "").split("+")[0]
    try:
        return str(Version(text))
    except InvalidVersion:
        return ".".join(re.findall(r"[0-9]+", text)[:3])
