"""Python packages of environments: found in an index. What :class:`.Environments` hands on to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .spec.catalog import list_records

if TYPE_CHECKING:
    from .jobs import Control, Jobs
    from .lock.search import Package, PackageIndex, SearchResult
    from .paths import Paths
    from .views import JobView

__all__ = ["Packages"]

_LOCKED = re.compile(r'^\[\[python\.packages\]\]\nname = "([^"\n]+)"', re.MULTILINE)
_LARGEST = 8 << 20


class Packages:
    """Search in the host's Python index, and the packages of environments."""

    def __init__(self, paths: Paths, jobs: Jobs) -> None:
        self.paths = paths
        self._jobs = jobs

    @cached_property
    def index(self) -> PackageIndex:
        """The indexes that this host's packages come from, where a spec says nothing else."""
        from .lock.indexes import index_urls
        from .lock.search import PackageIndex
        from .lock.settings import Settings
        from .spec.model import Packages as Asked

        folder = self.paths.store / "cache" / "names"
        return PackageIndex(index_urls(Asked()), folder, Settings.current(), known=self._known)

    def search(self, text: str, *, most: int = 20) -> SearchResult:
        """See :meth:`.PackageIndex.search`."""
        return self.index.search(text, most=most)

    def find(self, name: str) -> Package:
        """See :meth:`.PackageIndex.find`."""
        return self.index.find(name)

    def start_names(self) -> JobView:
        """Fetch the index's list of all names, so that a part of a name finds packages; as a job."""

        def work(control: Control) -> dict[str, object]:
            control.progress(f"names of {self.index.source}", 0, 0)
            return {"names": self.index.fetch_names(), "source": self.index.source}

        return self._jobs.start("names", "Fetch the names of all packages", work, alone="names")

    def _known(self) -> Iterator[str]:
        """Packages of the user's own locks, then those of well-known imports."""
        from .spec.imports import known_distributions

        for entry in list_records(self.paths):
            place = Path(entry.spec_file)
            lock = place / "jupyter-container.lock" if place.is_dir() else Path(f"{place}.jupyter-container.lock")
            try:
                with lock.open(encoding="utf-8", errors="replace") as stream:
                    yield from _LOCKED.findall(stream.read(_LARGEST))
            except OSError:
                continue
        yield from known_distributions()
