"""pyproject.toml: the ``[tool.jupyter-containers]`` table, dependencies (PEP 621), groups (PEP 735)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .assembly import Assembly
from .requirement import normalise_name
from .walk import Key, Place, nearest, show_key

if TYPE_CHECKING:
    from .positions import Positions

__all__ = ["TABLE", "Project"]

TABLE: Key = ("tool", "jupyter-containers")


class Project:
    """The pyproject.toml *name* of the assembly's folder; :class:`SpecError` where it can't be read."""

    def __init__(self, assembly: Assembly, name: str = "pyproject.toml") -> None:
        self.name = name
        self.assembly = assembly
        self.document, self.text = assembly.folder.read_toml(name)
        self._positions: Positions | None = None

    @property
    def table(self) -> Any:
        """The native table; None: there is none."""
        return _get(self.document, TABLE)

    @property
    def project(self) -> dict[str, Any]:
        found = self.document.get("project")
        return found if isinstance(found, dict) else {}

    @property
    def has_packages(self) -> bool:
        """Whether a spec can be made from it: most pyproject.toml files hold only tools' settings."""
        return "project" in self.document

    @property
    def has_uv_sources(self) -> bool:
        """Whether uv is told to take packages from elsewhere; its lock has that, the dependencies have not."""
        uv = _get(self.document, ("tool", "uv"))
        return isinstance(uv, dict) and bool(uv.keys() & {"sources", "index", "find-links", "override-dependencies"})

    def add_project(self) -> None:
        """Add the project's dependencies, and the project itself where it says how it is built.

        Without a ``[build-system]`` it is a list of dependencies and no package; uv draws the line there too.
        """
        python = self.project.get("requires-python")
        if isinstance(python, str):
            self.assembly.set(("python",), python, self._place(("project", "requires-python")))
        if "build-system" in self.document and "name" in self.project:
            self.assembly.add(("packages", "pip"), ".", self._place(("build-system",)))
        elif "dependencies" in _dynamic(self.project):
            place = self._place(("project", "dynamic"))
            self.assembly.report(place, "the dependencies are made by a build, and there is no [build-system]")
        self._add_list(("project", "dependencies"), self.project.get("dependencies", []))

    def add_extra(self, extra: str, asked: Place) -> None:
        """Add the optional dependencies *extra*; *asked*: where the user wrote the name."""
        table = self.project.get("optional-dependencies", {})
        names = {normalise_name(name): name for name in table} if isinstance(table, dict) else {}
        name = names.get(normalise_name(extra))
        if name is None:
            self._report_unknown(asked, f"{self.name} has no optional dependencies {extra!r}", names)
            return
        self._add_list(("project", "optional-dependencies", name), table[name])

    def add_group(self, group: str, asked: Place) -> None:
        """Add the dependency group *group* with those that it includes."""
        self._add_group(group, asked, ())

    def _add_group(self, group: str, asked: Place, including: tuple[str, ...]) -> None:
        table = self.document.get("dependency-groups", {})
        names = {normalise_name(name): name for name in table} if isinstance(table, dict) else {}
        wanted = normalise_name(group)
        if wanted not in names:
            self._report_unknown(asked, f"{self.name} has no dependency group {group!r}", names)
            return
        if wanted in including:
            circle = " → ".join((*including, wanted))
            self.assembly.report(asked, f"the dependency groups include each other: {circle}", "Remove one include")
            return
        key: Key = ("dependency-groups", names[wanted])
        items = table[names[wanted]]
        if not isinstance(items, list):
            self.assembly.report(self._place(key), "has to be a list")
            return
        for at, item in enumerate(items):
            place = self._place((*key, at))
            if isinstance(item, str):
                self.assembly.add(("packages", "pip"), item, place)
            elif isinstance(item, dict) and set(item) == {"include-group"} and isinstance(item["include-group"], str):
                self._add_group(item["include-group"], place, (*including, wanted))
            else:
                cause = "is neither a requirement nor an include"
                self.assembly.report(place, cause, 'Write text, or {include-group = "NAME"} (PEP 735)')

    def _add_list(self, key: Key, items: Any) -> None:
        if not isinstance(items, list):
            self.assembly.report(self._place(key), "has to be a list of requirements")
            return
        for at, item in enumerate(items):
            self.assembly.add(("packages", "pip"), item, self._place((*key, at)))

    def _report_unknown(self, asked: Place, cause: str, names: dict[str, str]) -> None:
        self.assembly.report(asked, cause, nearest(cause.rpartition(" ")[2].strip("'"), names) if names else "Add it")

    def _place(self, key: Key) -> Place:
        if self._positions is None:
            from .positions import Positions  # late: most specs are no pyproject.toml

            self._positions = Positions(self.text)
        return Place(self.assembly.folder.shown(self.name), self._positions.line(key), show_key(key))


def _dynamic(project: dict[str, Any]) -> list[Any]:
    found = project.get("dynamic", [])
    return found if isinstance(found, list) else []


def _get(document: Any, key: Key) -> Any:
    for part in key:
        document = document.get(part) if isinstance(document, dict) else None
    return document
