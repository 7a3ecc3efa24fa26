"""The name by which this user knows a spec: the spec's own, or one that was given at a build.

Two clones of a folder have one spec, and names are a user's: the second clone's environment is given another.
"""

from __future__ import annotations

import msgspec

from ..paths import Paths
from ..spec.catalog import Record, list_records
from ..spec.model import LoadedSpec
from ..spec.names import check_name
from .state import is_of

__all__ = ["find_renamed", "known_as"]


def known_as(loaded: LoadedSpec, paths: Paths, *, name: str = "") -> LoadedSpec:
    """*loaded* under *name* or, where that is empty, under the name that it was given before; else as it is.

    :class:`ReferenceError` for a name that is not well formed.
    """
    if not name:
        entry = find_renamed(loaded, paths)
        name = entry.name if entry is not None else loaded.spec.name
    if check_name(name) == loaded.spec.name:
        return loaded
    return msgspec.structs.replace(loaded, spec=msgspec.structs.replace(loaded.spec, name=name), renamed=True)


def find_renamed(loaded: LoadedSpec, paths: Paths) -> Record | None:
    """The environment of *loaded* that has a given name."""
    return next((entry for entry in list_records(paths) if entry.renamed and is_of(entry, loaded)), None)
