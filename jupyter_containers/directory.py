"""Which environments there are: those that the catalog knows, and those that a folder's specs offer.

A launcher offers the specs of its server's root folder before anybody has built one of them
(:mod:`.kernels.dynamic`); whoever lists environments beside it has to tell the same.
"""

from __future__ import annotations

from pathlib import Path

from .errors import NotFoundError
from .paths import Paths
from .spec.catalog import Record, find_record, list_records

__all__ = ["Directory"]


class Directory:
    """The environments of one user.

    :param root: a folder whose specs, and those of the folders directly in it, are offered; None: only the catalog.
    """

    def __init__(self, paths: Paths, root: Path | None = None) -> None:
        self.paths = paths
        self.root = root

    def offers(self, known: tuple[Record, ...]) -> tuple[Record, ...]:
        """What *root* offers beside *known*, by name. Their specs are read once as long as they stay the same."""
        if self.root is None:
            return ()
        from .kernels.dynamic import find_dynamic

        names = {entry.name for entry in known}
        found = (entry for entry, _ in find_dynamic(self.paths, self.root).values() if entry.name not in names)
        return tuple(sorted(found, key=lambda entry: entry.name))

    def get(self, name: str) -> Record | None:
        """The record of *name*: the catalog's, else what *root* offers."""
        known = list_records(self.paths)
        return next((entry for entry in (*known, *self.offers(known)) if entry.name == name), None)

    def find(self, name: str) -> Record:
        """The same; :class:`NotFoundError` names the ones that the catalog knows."""
        try:
            return find_record(self.paths, name)
        except NotFoundError:
            offered = self.get(name) if self.root is not None else None
            if offered is None:
                raise
            return offered
