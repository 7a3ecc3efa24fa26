"""Python packages that were added one by one, each time as a layer of its own.

What was there before stays the layer that it was: a registry, a colleague and a kernel that runs get the new packages
and nothing else. The lock says which they were, so the same lock gives the same layers. Finding all versions anew takes
them back into one.
"""

from __future__ import annotations

import msgspec

from .model import Lock

__all__ = ["MOST_GROUPS", "carry_added", "note_added", "python_names"]

MOST_GROUPS = 8
"""Every layer costs a mount at each start."""


def python_names(lock: Lock | None) -> frozenset[str]:
    """The Python packages of *lock*."""
    packages = lock.python.pylock.get("packages", ()) if lock is not None and lock.python is not None else ()
    return frozenset(str(package["name"]) for package in packages if "name" in package)


def carry_added(lock: Lock, previous: Lock | None, *, upgrade: bool | frozenset[str] = False) -> Lock:
    """*lock* with the groups of *previous*, as far as their packages are still there."""
    if previous is None or upgrade is True or not previous.added:
        return lock
    names = python_names(lock)
    groups = (tuple(name for name in group if name in names) for group in previous.added)
    return msgspec.structs.replace(lock, added=tuple(group for group in groups if group))


def note_added(lock: Lock, previous: Lock) -> Lock:
    """*lock*, which was resolved from *previous*, with what is new in it as one more group."""
    lock = carry_added(lock, previous)
    new = tuple(sorted(python_names(lock) - python_names(previous)))
    if not new or not python_names(previous):
        return lock
    groups = (*lock.added, new)
    if len(groups) > MOST_GROUPS:
        first, second, *rest = groups
        groups = (tuple(sorted({*first, *second})), *rest)
    return msgspec.structs.replace(lock, added=groups)
