"""Which Debian packages: dependency resolution over Packages indexes (pure), and fetching what was chosen.

The choice is the one that apt makes in common cases: the newest version of each name, of alternatives the first
that fits, real packages before those that only provide the name, nothing that is merely recommended. What must be
is decided before what may be chosen, as apt's newer solver does, so that a strict dependency met later settles an
earlier ``a | b``. Everything is ordered, so that the same indexes give the same result.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ResolutionError
from . import version as versions
from .fetch import Download, Fetcher, Progress, no_progress
from .model import Base, DebianPackage
from .packages import PRIORITIES, Candidate, Group, Index, Relation

__all__ = ["Universe", "Wish", "fetch_debs", "parse_wish", "solve", "to_lock"]

_MOST_RETRIES = 5000


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


def solve(universe: Universe, wanted: Sequence[str], *, title: str = "apt") -> dict[str, Candidate]:
    """The packages that *wanted* needs, with all they depend on, by name: without what is installed already.

    Raises :class:`ResolutionError` that says what is missing or what stands against what.
    """
    for name in wanted:
        _check_known(universe, name, title)
    search = _Search(universe)
    search.chosen.update(universe.installed)
    for item in universe.installed.values():
        search.note_conflicts(item)
    groups = [((Relation(name),), None) for name in wanted]
    chosen = search.run(groups, title)
    return {name: item for name, item in sorted(chosen.items()) if universe.installed.get(name) is not item}


@dataclass(frozen=True, slots=True)
class _Decision:
    """A place to come back to: the state before one of several options was taken."""

    chosen: dict[str, Candidate]
    open: list[tuple[Group, Candidate | None]]
    group: Group
    owner: Candidate | None
    rest: list[Candidate]


class _Search:
    """Propagate what is forced; then decide, and come back where it does not work out."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.chosen: dict[str, Candidate] = {}
        self.providers: dict[str, list[Candidate]] = {}
        self.enemies: dict[str, list[tuple[Relation, Candidate]]] = {}
        self.reason = ""
        self._options: dict[Group, list[Candidate]] = {}

    def run(self, groups: list[tuple[Group, Candidate | None]], title: str) -> dict[str, Candidate]:
        queue = deque(groups)
        undecided: list[tuple[Group, Candidate | None]] = []
        decisions: list[_Decision] = []
        retries = 0
        first_reason = ""
        for item in list(self.chosen.values()):
            self._note_provides(item)
        while True:
            failed = self._propagate(queue, undecided)
            if not failed:
                pending = [entry for entry in undecided if not self._satisfied(entry[0])]
                if not pending:
                    return self.chosen
                # What was open before may have become forced by the choices since.
                forced = next((entry for entry in pending if len(self._viable(entry[0])) <= 1), None)
                group, owner = forced or pending[0]
                undecided = [entry for entry in pending if entry != (group, owner)]
                options = self._viable(group)
                if options:
                    if len(options) > 1:
                        decisions.append(_Decision(dict(self.chosen), list(undecided), group, owner, options[1:]))
                    self._choose(options[0], queue)
                    continue
                self.reason = self._explain(group, owner)
            first_reason = first_reason or self.reason
            while decisions and not decisions[-1].rest:
                decisions.pop()
            retries += 1
            if not decisions or retries > _MOST_RETRIES:
                raise ResolutionError(
                    f"{title}: {first_reason}", hint="change the spec's `packages.apt`, or the base's suite"
                )
            back = decisions[-1]
            self._restore(back.chosen)
            undecided, option = list(back.open), back.rest.pop(0)
            queue.clear()
            self._choose(option, queue)

    def _propagate(
        self, queue: deque[tuple[Group, Candidate | None]], undecided: list[tuple[Group, Candidate | None]]
    ) -> bool:
        """Take what leaves no choice. True: there is something that nothing satisfies (told in ``reason``)."""
        while queue:
            group, owner = queue.popleft()
            if self._satisfied(group):
                continue
            options = self._viable(group)
            if not options:
                self.reason = self._explain(group, owner)
                return True
            if len(options) == 1:
                self._choose(options[0], queue)
            else:
                undecided.append((group, owner))
        return False

    def _choose(self, item: Candidate, queue: deque[tuple[Group, Candidate | None]]) -> None:
        self.chosen[item.name] = item
        self._note_provides(item)
        self.note_conflicts(item)
        queue.extend((group, item) for group in item.depends)

    def _restore(self, chosen: dict[str, Candidate]) -> None:
        self.chosen = dict(chosen)
        self.providers, self.enemies = {}, {}
        for item in self.chosen.values():
            self._note_provides(item)
            self.note_conflicts(item)

    def _note_provides(self, item: Candidate) -> None:
        for given in item.provides:
            self.providers.setdefault(given.name, []).append(item)

    def note_conflicts(self, item: Candidate) -> None:
        for relation in item.conflicts:
            self.enemies.setdefault(relation.name, []).append((relation, item))

    def _satisfied(self, group: Group) -> bool:
        for relation in group:
            item = self.chosen.get(relation.name)
            if item is not None and item.satisfies(relation):
                return True
            if any(
                self.chosen.get(other.name) is other and other.satisfies(relation)
                for other in self.providers.get(relation.name, ())
            ):
                return True
        return False

    def _viable(self, group: Group) -> list[Candidate]:
        options = self._options.get(group)
        if options is None:
            options = self._options[group] = self.universe.options(group)
        return [item for item in options if not self._objection(item)]

    def _objection(self, item: Candidate) -> str:
        """Why *item* can't join what is chosen; empty where it can."""
        present = self.chosen.get(item.name)
        replaceable = present is not None and present is self.universe.installed.get(item.name)
        if present is not None and not replaceable:
            return f"{present.name} {present.version} is chosen already"
        if present is not None and versions.compare(item.version, present.version) < 0:
            return f"the base has the newer {present.name} {present.version}"
        for relation in item.conflicts:
            rivals = [self.chosen.get(relation.name), *self.providers.get(relation.name, ())]
            for rival in rivals:
                if rival is not None and rival.name != item.name and self.chosen.get(rival.name) is rival:
                    if rival.satisfies(relation):
                        return f"{item.name} {item.version} conflicts with {relation} ({rival.name} {rival.version})"
        names = (item.name, *(given.name for given in item.provides))
        for name in names:
            for relation, rival in self.enemies.get(name, ()):
                if rival.name != item.name and self.chosen.get(rival.name) is rival and item.satisfies(relation):
                    return f"{rival.name} {rival.version} conflicts with {relation} ({item.name} {item.version})"
        return ""

    def _explain(self, group: Group, owner: Candidate | None) -> str:
        text = " | ".join(map(str, group))
        by = f"{owner.name} {owner.version} depends on {text}" if owner is not None else f"{text} is wanted"
        options = self.universe.options(group)
        if options:
            return f"{by}, but " + "; ".join(dict.fromkeys(self._objection(item) for item in options[:4]))
        have = [item.version for relation in group for item in self.universe.all_versions(relation.name)]
        return f"{by}, but " + (
            f"there is only version {', '.join(have)}" if have else "no such package is in the archive"
        )


def _check_known(universe: Universe, name: str, title: str) -> None:
    if universe.versions(name) or universe.providers(name):
        return
    wish = universe.wishes.get(name, Wish(name))
    known = universe.all_versions(name)
    suites = ", ".join(dict.fromkeys(index.suite for index in universe.indexes)) or "no suite"
    if known:
        have = ", ".join(f"{item.version} ({item.suite or 'installed'})" for item in known)
        raise ResolutionError(
            f"{title}: {wish} is not to be had: there is {name} {have}",
            hint=f"take one of these versions, or `{name}` without one; archives keep only the newest",
        )
    names = {each for index in universe.indexes for each in index.names() if each[:1] == name[:1]}
    near = difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.75)
    raise ResolutionError(
        f"{title}: there is no package {name!r} in {suites}",
        hint=f"did you mean {' or '.join(near)}?"
        if near
        else "see https://packages.debian.org for names; `components` in the "
        "configuration file adds contrib, non-free and non-free-firmware",
    )


def to_lock(chosen: Mapping[str, Candidate], *, archive: str) -> tuple[DebianPackage, ...]:
    """As the lock holds them, sorted by name; *archive* is the base's first, and not repeated."""
    return tuple(
        DebianPackage(
            name=item.name,
            version=item.version,
            architecture=item.architecture,
            filename=item.filename,
            size=item.size,
            sha256=item.sha256,
            archive="" if item.archive == archive else item.archive,
        )
        for item in sorted(chosen.values(), key=lambda item: item.name)
    )


def fetch_debs(
    packages: Sequence[DebianPackage], *, base: Base, fetcher: Fetcher, progress: Progress = no_progress
) -> dict[str, Path]:
    """Name → .deb in the cache, each with the hash that the lock has. Any mirror will do: the lock's own first, then
    those of the settings. Raises what :meth:`Fetcher.fetch_many` raises."""
    settings = fetcher.settings
    items = []
    for package in packages:
        roots = [package.archive or base.archive]
        # A security archive holds other files than the main one, so its mirrors stand in for it only.
        roots += settings.security_archives if package.archive else settings.debian_archives
        urls = tuple(f"{root}/{package.filename}" for root in dict.fromkeys(roots) if root)
        items.append(Download(urls, package.sha256, package.size))
    paths = fetcher.fetch_many(items, what="Debian packages", progress=progress)
    return {package.name: path for package, path in zip(packages, paths, strict=True)}
