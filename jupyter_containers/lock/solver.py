"""Which Debian packages: dependency resolution (pure).

The choice is the one that apt makes in common cases: the newest version of each name, of alternatives the first
that fits, real packages before those that only provide the name, nothing that is merely recommended. What must be
is decided before what may be chosen, as apt's newer solver does, so that a strict dependency met later settles an
earlier ``a | b``. Everything is ordered, so that the same indexes give the same result.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import ResolutionError
from . import version as versions
from .packages import Candidate, Group, Relation
from .universe import Universe, Wish

__all__ = ["check_known", "solve"]

_MOST_RETRIES = 5000

Need: TypeAlias = tuple[Group, Candidate | None]
"""What has to be there, and for whom; None: the spec wants it."""


def solve(universe: Universe, wanted: Sequence[str], *, title: str = "apt") -> dict[str, Candidate]:
    """The packages that *wanted* needs, with all they depend on, by name: without what is installed already.

    Raises :class:`ResolutionError` that says what is missing or what stands against what.
    """
    for name in wanted:
        check_known(universe, name, title=title)
    search = _Search(universe)
    search.chosen.update(universe.installed)
    for item in universe.installed.values():
        search.note_conflicts(item)
    groups: list[Need] = [((_relation(universe, name),), None) for name in wanted]
    chosen = search.run(groups, title)
    return {name: item for name, item in sorted(chosen.items()) if universe.installed.get(name) is not item}


@dataclass(frozen=True, slots=True)
class _Decision:
    """A place to come back to: the state before one of several options was taken."""

    chosen: dict[str, Candidate]
    open: list[Need]
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

    def run(self, groups: list[Need], title: str) -> dict[str, Candidate]:
        queue = deque(groups)
        undecided: list[Need] = []
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

    def _propagate(self, queue: deque[Need], undecided: list[Need]) -> bool:
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

    def _choose(self, item: Candidate, queue: deque[Need]) -> None:
        replaced = self.chosen.get(item.name)
        self.chosen[item.name] = item
        if replaced is not None:
            queue.extend(self._left_behind(replaced))
        self._note_provides(item)
        self.note_conflicts(item)
        queue.extend((group, item) for group in item.depends)

    def _left_behind(self, replaced: Candidate) -> list[Need]:
        """Needs of the base's packages that the one they were installed with no longer meets: that they move up too."""
        names = {replaced.name, *(given.name for given in replaced.provides)}
        return [
            ((Relation(other.name, ">>", other.version),), other)
            for other in self.universe.installed.values()
            if self.chosen.get(other.name) is other
            and any(
                not self._satisfied(group)
                for group in other.depends
                if any(relation.name in names for relation in group)
            )
        ]

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
            named = self.chosen.get(relation.name)
            rivals = list(self.providers.get(relation.name, ()))
            if named is not None:
                rivals.insert(0, named)
            for rival in rivals:
                if rival.name == item.name or self.chosen.get(rival.name) is not rival:
                    continue
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


def _relation(universe: Universe, name: str) -> Relation:
    """What a wish asks for. One with a version is not met by another version that a base may have."""
    wish = universe.wishes.get(name)
    options = universe.versions(name) if wish is not None and (wish.version or wish.suite) else ()
    return Relation(name, "=", options[0].version) if options else Relation(name)


def check_known(universe: Universe, name: str, *, title: str) -> None:
    """:class:`ResolutionError` where nothing that may be chosen has the name, with what there is."""
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
