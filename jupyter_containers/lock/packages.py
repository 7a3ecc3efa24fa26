"""Packages indexes: from the archive's text to something that is opened in a moment and read where needed.

An index of a suite holds 70,000 stanzas, of which one resolution reads some hundred. So what is kept is the text of
the fields that matter, and a table of where each name's stanzas begin; a stanza is parsed when it is asked for.
The compact form is cached by the hash of the Packages file that it was made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from ..errors import ArchiveError
from . import version as versions

__all__ = [
    "COMPACT_FORMAT",
    "Candidate",
    "Compact",
    "Index",
    "Relation",
    "make_compact",
    "parse_relations",
    "read_status",
]

COMPACT_FORMAT = 1
"""Part of the cache's file name: raised when the compact form changes."""

_KEPT = frozenset(
    b"Package Version Architecture Pre-Depends Depends Provides Conflicts Breaks Essential Priority Filename Size "
    b"SHA256 Status".split()
)
PRIORITIES = {"required": 0, "important": 1, "standard": 2, "optional": 3, "extra": 4}


@dataclass(frozen=True, slots=True)
class Relation:
    """``name (operator version)``; an empty operator accepts any version."""

    name: str
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


Group: TypeAlias = tuple[Relation, ...]
"""Alternatives, the preferred first: ``a | b``."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One version of a package that could be chosen."""

    name: str
    version: str
    architecture: str
    depends: tuple[Group, ...] = ()
    """Pre-Depends and Depends."""
    conflicts: tuple[Relation, ...] = ()
    """Conflicts and Breaks: what may not be there beside it."""
    provides: tuple[Relation, ...] = ()
    essential: bool = False
    priority: str = "optional"
    filename: str = ""
    """Empty: installed in the base, in no archive."""
    size: int = 0
    sha256: str = ""
    archive: str = ""
    suite: str = ""

    def satisfies(self, relation: Relation) -> bool:
        """Whether it is what *relation* names, by itself or by what it provides (policy 7.5: an unversioned
        Provides satisfies no versioned relation)."""
        if self.name == relation.name and versions.satisfies(self.version, relation.operator, relation.version):
            return True
        return any(
            given.name == relation.name
            and (
                not relation.operator
                or (bool(given.version) and versions.satisfies(given.version, relation.operator, relation.version))
            )
            for given in self.provides
        )


class Compact(msgspec.Struct, frozen=True, array_like=True):
    """What is cached of an index; offsets are into ``text``."""

    names: dict[str, int]
    """Name → begin of its first stanza. (A list for each of 70,000 names would cost 60 ms to make.)"""
    further: dict[str, list[int]]
    """Name → begins of its other stanzas, for the few names that have several versions."""
    provided: dict[str, list[str]]
    """Virtual name → the packages that provide it."""
    essential: list[str]
    required: list[str]
    text: bytes


class Index:
    """One suite's packages of one architecture, from one archive."""

    def __init__(self, compact: Compact, *, archive: str, suite: str) -> None:
        self.archive, self.suite = archive, suite
        self.essential: Sequence[str] = compact.essential
        self.required: Sequence[str] = compact.required
        self._compact = compact
        self._parsed: dict[str, tuple[Candidate, ...]] = {}

    def __len__(self) -> int:
        return len(self._compact.names)

    def names(self) -> Iterator[str]:
        return iter(self._compact.names)

    def find(self, name: str) -> tuple[Candidate, ...]:
        """Every version of *name* in the index."""
        found = self._parsed.get(name)
        if found is None:
            first = self._compact.names.get(name)
            begins = [] if first is None else [first, *self._compact.further.get(name, ())]
            found = tuple(self._parse(begin) for begin in begins)
            self._parsed[name] = found
        return found

    def providers(self, name: str) -> Sequence[str]:
        """Names of the packages that provide the virtual package *name*."""
        return self._compact.provided.get(name, ())

    def _parse(self, begin: int) -> Candidate:
        text = self._compact.text
        end = text.find(b"\n\n", begin)
        return parse_stanza(text[begin : end if end >= 0 else len(text)], archive=self.archive, suite=self.suite)


def make_compact(text: bytes) -> Compact:
    """The compact form of a Packages file, or of ``/var/lib/dpkg/status``. Both are untrusted only as far as their
    signature says; a stanza without a name is an :class:`ArchiveError`."""
    names: dict[str, int] = {}
    further: dict[str, list[int]] = {}
    provided: dict[str, list[str]] = {}
    essential: list[str] = []
    required: list[str] = []
    stanzas: list[bytes] = []
    place = 0
    kept = _KEPT
    for stanza in text.split(b"\n\n"):
        # Continuation lines start with a blank and have no such key, so they drop out with the long texts.
        lines = [line for line in stanza.split(b"\n") if line.partition(b":")[0] in kept]
        if not lines:
            continue
        name = ""
        for line in lines:
            if line.startswith(b"Package:"):
                name = line[8:].strip().decode("ascii", "replace")
            elif line.startswith(b"Provides:"):
                for part in line[9:].split(b","):
                    virtual = part.split(b"(", 1)[0].strip().decode("ascii", "replace")
                    holders = provided.setdefault(virtual, [])
                    if name not in holders:
                        holders.append(name)
            elif line.startswith(b"Essential: yes"):
                essential.append(name)
            elif line.startswith(b"Priority: required"):
                required.append(name)
        if not name:
            raise ArchiveError(
                "a Packages index has a stanza that does not start with Package", hint="use another mirror"
            )
        short = b"\n".join(lines)
        if name in names:
            further.setdefault(name, []).append(place)
        else:
            names[name] = place
        stanzas.append(short)
        place += len(short) + 2
    return Compact(names, further, provided, sorted(set(essential)), sorted(set(required)), b"\n\n".join(stanzas))


def read_status(text: bytes) -> dict[str, Candidate]:
    """The installed packages of a ``/var/lib/dpkg/status`` file (dpkg(1), "Package states"), by name."""
    compact = make_compact(text)
    index = Index(compact, archive="", suite="")
    held = b"\n\n" + compact.text
    found: dict[str, Candidate] = {}
    for name, begin in compact.names.items():
        end = held.find(b"\n\n", begin + 2)
        stanza = held[begin + 2 : end if end >= 0 else len(held)]
        if re.search(rb"^Status: \S+ ok (installed|triggers-pending|triggers-awaited)$", stanza, re.MULTILINE):
            found[name] = index.find(name)[0]
    return found


def parse_stanza(stanza: bytes, *, archive: str, suite: str) -> Candidate:
    """One stanza of a Packages file (Debian Policy 5.3). :class:`ArchiveError` names the field that is amiss."""
    fields: dict[str, str] = {}
    for line in stanza.decode("utf-8", "replace").split("\n"):
        key, _, value = line.partition(":")
        fields[key] = value.strip()
    name = fields.get("Package", "")
    try:
        return Candidate(
            name=name,
            version=fields["Version"],
            architecture=fields["Architecture"],
            depends=(*parse_relations(fields.get("Pre-Depends", "")), *parse_relations(fields.get("Depends", ""))),
            conflicts=tuple(
                relation
                for key in ("Conflicts", "Breaks")
                for group in parse_relations(fields.get(key, ""))
                for relation in group
            ),
            provides=tuple(relation for group in parse_relations(fields.get("Provides", "")) for relation in group),
            essential=fields.get("Essential") == "yes",
            priority=fields.get("Priority", "optional"),
            filename=fields.get("Filename", "").removeprefix("./"),
            size=int(fields.get("Size", "0")),
            sha256=fields.get("SHA256", ""),
            archive=archive,
            suite=suite,
        )
    except (KeyError, ValueError) as error:
        raise ArchiveError(
            f"{archive or 'the base'} {suite}: the index's entry of {name!r} is not valid: {error}",
            hint="use another mirror",
        ) from error


_RELATION = re.compile(
    r"^(?P<name>[a-zA-Z0-9][a-zA-Z0-9+.\-]*)(?::[a-z0-9\-]+)?"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s)]+)\s*\))?"
    r"(?:\s*\[[^]]*\])?(?:\s*<[^>]*>)*$"
)


def parse_relations(text: str) -> tuple[Group, ...]:
    """``a (>= 1) | b, c:any`` → groups of alternatives (Debian Policy 7.1). Architecture qualifiers are dropped:
    a base holds one architecture. ValueError for what is no relation."""
    groups: list[Group] = []
    for item in text.split(","):
        if not item.strip():
            continue
        group: list[Relation] = []
        for alternative in item.split("|"):
            match = _RELATION.match(alternative.strip())
            if match is None:
                raise ValueError(f"no relation: {alternative.strip()!r}")
            group.append(Relation(match["name"], match["operator"] or "", match["version"] or ""))
        groups.append(tuple(group))
    return tuple(groups)
