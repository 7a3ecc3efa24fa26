"""What one lock has and another has not: packages that came, went, or moved to another version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from .model import DebianPackage, Lock

__all__ = ["LockedPackage", "Moved", "PackageChanges", "compare"]

Kind = Literal["debian", "python"]


class LockedPackage(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    name: str
    version: str
    """Empty: a Python package from a folder or a repository has none."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A package that is in both locks, at different versions."""

    kind: Kind
    name: str
    before: str
    after: str


class PackageChanges(msgspec.Struct, frozen=True, kw_only=True):
    added: tuple[LockedPackage, ...] = ()
    removed: tuple[LockedPackage, ...] = ()
    changed: tuple[Moved, ...] = ()
    """Each sorted: Debian packages, then Python packages, by name."""


def compare(before: Lock, after: Lock, architecture: str) -> PackageChanges:
    """What makes *after* of *before* for machines of *architecture* (Debian's name)."""
    added: list[LockedPackage] = []
    removed: list[LockedPackage] = []
    changed: list[Moved] = []
    kinds: tuple[tuple[Kind, Mapping[str, str], Mapping[str, str]], ...] = (
        ("debian", _debian(before, architecture), _debian(after, architecture)),
        ("python", _python(before), _python(after)),
    )
    for kind, old, new in kinds:
        added += [LockedPackage(kind=kind, name=name, version=new[name]) for name in sorted(new.keys() - old.keys())]
        removed += [LockedPackage(kind=kind, name=name, version=old[name]) for name in sorted(old.keys() - new.keys())]
        changed += [
            Moved(kind=kind, name=name, before=old[name], after=new[name])
            for name in sorted(old.keys() & new.keys())
            if old[name] != new[name]
        ]
    return PackageChanges(added=tuple(added), removed=tuple(removed), changed=tuple(changed))


def _debian(lock: Lock, architecture: str) -> dict[str, str]:
    packages: list[DebianPackage] = [*lock.base.packages.get(architecture, ()), *lock.apt.get(architecture, ())]
    return {package.name: package.version for package in packages}


def _python(lock: Lock) -> dict[str, str]:
    packages = lock.python.pylock.get("packages", ()) if lock.python is not None else ()
    return {str(package["name"]): str(package.get("version", "")) for package in packages}
