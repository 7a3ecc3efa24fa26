"""A native document put together from the files of a folder, which remembers who wrote what.

Every format is turned into the native document and goes through the one border (:mod:`.walk`), so a bad
requirement is told the same way whether it stands in a requirements.txt or in a notebook.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import Problem, SpecError
from .model import EnvironmentSpec, Ignored, LoadedSpec, Used
from .names import make_name
from .reading import Folder
from .walk import Key, Place, convert, show_key
from .whole import find_conflicts

__all__ = ["Assembly"]


class Assembly:
    """What the readers of formats add to; :meth:`finish` makes the spec or tells all problems."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.document: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.used: list[Used] = []
        self.ignored: list[Ignored] = []
        self.pylock: Path | None = None
        self._places: dict[Key, Place] = {}
        self._native: tuple[str, str, Key, int] | None = None

    def start(self, document: dict[str, Any], file: str, text: str, *, table: Key = (), first_line: int = 1) -> None:
        """Start from the native *document* that is the *table* of the TOML *text*, at *first_line* of *file*."""
        # A copy of the parts that `add` writes to; the reader may need its own later.
        self.document = {key: dict(value) if isinstance(value, dict) else value for key, value in document.items()}
        for table_name, name in _LISTS:
            part = self.document.get(table_name)
            if isinstance(part, dict) and isinstance(part.get(name), list):
                part[name] = list(part[name])
        self._native = (file, text, table, first_line)

    def set(self, key: Key, value: Any, place: Place) -> None:
        """Set *key* where nothing has set it before."""
        part = self._table(key[:-1])
        if part is not None and key[-1] not in part:
            part[key[-1]] = value
            self._places[key] = place

    def add(self, key: Key, value: Any, place: Place) -> None:
        """Append *value* to the list *key*."""
        part = self._table(key[:-1])
        if part is None:
            return
        items = part.setdefault(key[-1], [])
        # Where the user wrote something else than a list, the border tells.
        if isinstance(items, list):
            self._places[(*key, len(items))] = place
            items.append(value)

    def report(self, place: Place, cause: str, remedy: str = "") -> None:
        self.problems.append(Problem(file=place.file, line=place.line, key=place.key, cause=cause, remedy=remedy))

    def use(self, name: str, part: str) -> None:
        self.used.append(Used(self.folder.file(name), part))

    def ignore(self, name: str, reason: str) -> None:
        self.ignored.append(Ignored(self.folder.file(name), reason))

    def locate(self, key: Key) -> Place:
        """Where the user wrote the value of *key*."""
        for end in range(len(key), 0, -1):
            if key[:end] in self._places:
                return self._places[key[:end]]
        if self._native is None:
            return Place(self.folder.shown(""), key=show_key(key))
        from .positions import Positions  # late: only errors have a place to tell

        file, text, table, first_line = self._native
        line = Positions(text).line((*table, *key))
        return Place(file, None if line is None else line + first_line - 1, show_key(key))

    def finish(self, file: str, *, name: str, alone: bool = False) -> LoadedSpec:
        """The spec; *name* is used where the document has none. :class:`SpecError` holds all problems."""
        self.document.setdefault("name", make_name(name))
        spec = convert(self.document, EnvironmentSpec, locate=self.locate, problems=self.problems)
        conflicts = find_conflicts(
            self.document, has_pylock=self.pylock is not None, show=lambda key: _shown(self.locate(key))
        )
        for key, cause, remedy in conflicts:
            self.report(self.locate(key), cause, remedy)
        if spec is None or self.problems:
            raise SpecError("the spec is not valid", problems=_sorted(self.problems))
        return LoadedSpec(
            spec=spec,
            folder=self.folder.path,
            file=self.folder.file(file),
            alone=alone,
            used=tuple(self.used),
            ignored=tuple(self.ignored),
            pylock=self.pylock,
        )

    def _table(self, key: Key) -> dict[Any, Any] | None:
        table: Any = self.document
        for part in key:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                return None
        return table if isinstance(table, dict) else None


_LISTS = (("packages", "pip"), ("packages", "apt"), ("packages", "constraints"), ("packages", "extra-index-urls"))
"""Lists of a native document that other files of the folder add to."""


def _shown(place: Place) -> str:
    line = "" if place.line is None else f"line {place.line} of "
    return line + place.file


def _sorted(problems: list[Problem]) -> list[Problem]:
    """By file in the order of reading, and in a file by line: as a person goes through them."""
    order = {file: at for at, file in reversed(list(enumerate(problem.file for problem in problems)))}
    return sorted(problems, key=lambda problem: (order[problem.file], problem.line or 0))
