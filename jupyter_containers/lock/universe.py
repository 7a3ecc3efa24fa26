"""What may be chosen of Debian's packages, and in which order of preference (pure)."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from . import version as versions
from .packages import PRIORITIES, Candidate, Group, Index

__all__ = ["Universe", "Wish", "parse_wish"]


@dataclass(frozen=True, slots=True)
class Wish:
    """One entry of a spec's apt list: ``name``, ``name=version`` (``*`` matches as in apt) or ``name/suite``."""

    name: str
    version: str = ""
    suite: str = ""

    def __str__(self) -> str:
        return self.name + (f"={self.version}" if self.version else "") + (f"/{self.suite}" if self.suite else "")


def parse_wish(text: str) -> Wish:
    """``graphviz``, ``graphviz=2.42.4-3``, ``graphviz/trixie-backports`` → :class:`Wish`."""
    name, equals, version = text.partition("=")
    if equals:
        return Wish(name.strip(), version=version.strip())
    name, _, suite = text.partition("/")
    return Wish(name.strip(), suite=suite.strip())


@dataclass(slots=True)
class Universe:
    """All that may be chosen for one architecture.

    *installed*: what a base already has, preferred over any other version. *preferred*: versions of an earlier lock,
    kept while an index still has them. *optional*: suites that are taken only where nothing else fits (backports).
    """

    indexes: Sequence[Index]
    installed: Mapping[str, Candidate] = field(default_factory=dict)
    preferred: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    wishes: Mapping[str, Wish] = field(default_factory=dict)
    _versions: dict[str, tuple[Candidate, ...]] = field(default_factory=dict)
    _installed_providers: dict[str, list[str]] | None = None

    def all_versions(self, name: str) -> list[Candidate]:
        """Every version known, newest first; of equal versions the one of the first index."""
        found = [candidate for index in self.indexes for candidate in index.find(name)]
        unique = {candidate.version: candidate for candidate in reversed(found)}
        return sorted(unique.values(), key=lambda candidate: versions.version_key(candidate.version), reverse=True)

    def versions(self, name: str) -> tuple[Candidate, ...]:
        """What may be chosen of *name*, the best first."""
        known = self._versions.get(name)
        if known is None:
            known = self._versions[name] = tuple(self._rank(name))
        return known

    def _rank(self, name: str) -> Iterable[Candidate]:
        available = self.all_versions(name)
        wish = self.wishes.get(name)
        if wish is not None and (wish.version or wish.suite):
            return [
                item
                for item in available
                if (not wish.version or fnmatch.fnmatchcase(item.version, wish.version))
                and (not wish.suite or item.suite == wish.suite)
            ]
        usual = [item for item in available if item.suite not in self.optional]
        best = [item for item in usual if item.version == self.preferred.get(name)] + usual[:1]
        if name in self.installed:
            best.insert(0, self.installed[name])
        rest = [item for item in available if item.suite in self.optional]
        return {item.version: item for item in [*best, *rest]}.values()

    def providers(self, name: str) -> list[str]:
        if self._installed_providers is None:
            self._installed_providers = {}
            for item in self.installed.values():
                for given in item.provides:
                    self._installed_providers.setdefault(given.name, []).append(item.name)
        found = [provider for index in self.indexes for provider in index.providers(name)]
        return sorted({*found, *self._installed_providers.get(name, ())} - {name})

    def options(self, group: Group) -> list[Candidate]:
        """What satisfies *group*, the best first."""
        found: list[Candidate] = []
        for relation in group:
            found += [item for item in self.versions(relation.name) if item.satisfies(relation)]
            others = [
                item
                for name in self.providers(relation.name)
                for item in self.versions(name)
                if item.satisfies(relation)
            ]
            found += sorted(others, key=lambda item: (PRIORITIES.get(item.priority, 9), item.name))
        return list(dict.fromkeys(found))
