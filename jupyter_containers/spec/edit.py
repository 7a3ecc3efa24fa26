"""Changes to a spec's file that keep the user's formatting and comments."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import Problem, SpecError
from .project import TABLE
from .reading import Folder, parse_toml
from .requirement import Wrong, check_requirement, distribution_name
from .walk import show_key

__all__ = ["add_packages"]


def add_packages(file: Path, requirements: Sequence[str]) -> tuple[str, ...]:
    """Add *requirements* to ``packages.pip`` of *file*; the ones that changed it are returned.

    *file* is a jupyter-container.toml, or a pyproject.toml with a ``[tool.jupyter-containers]`` table. A package that
    is listed already is replaced where its versions differ. :class:`SpecError` leaves the file as it was.
    """
    import tomlkit

    wanted = _checked(requirements)
    folder = Folder(file.parent)
    text = folder.read_text(file.name)
    parse_toml(text, folder.shown(file.name))
    document = tomlkit.parse(text)
    items = _pip_list(document, folder.shown(file.name), in_project=file.name == "pyproject.toml")
    changed = [requirement for requirement in wanted if _put(items, requirement)]
    if changed:
        _replace(file, tomlkit.dumps(document))
    return tuple(changed)


def _checked(requirements: Sequence[str]) -> list[str]:
    problems = []
    checked = []
    for text in requirements:
        try:
            checked.append(check_requirement(text))
        except Wrong as wrong:
            problems.append(Problem(file="", cause=wrong.cause, remedy=wrong.remedy))
    if problems:
        raise SpecError("not packages that can be added", problems=problems)
    return checked


def _pip_list(document: Any, file: str, *, in_project: bool) -> Any:
    import tomlkit

    table = document
    path: tuple[str | int, ...] = ("packages", "pip")
    if in_project:
        for name in TABLE:
            table = table.get(name) if isinstance(table, dict) else None
        path = (*TABLE, *path)
    if not isinstance(table, dict):
        problem = Problem(file=file, cause="has no table [tool.jupyter-containers]", remedy="Add it")
        raise SpecError("no spec to add packages to", problems=[problem])
    packages = table.setdefault("packages", tomlkit.table())
    items = packages.setdefault("pip", tomlkit.array()) if isinstance(packages, dict) else None
    if not isinstance(items, list):
        raise SpecError(
            "no list to add to", problems=[Problem(file=file, key=show_key(path), cause="has to be a list")]
        )
    return items


def _put(items: Any, requirement: str) -> bool:
    name = distribution_name(requirement)
    for at, item in enumerate(items):
        if not isinstance(item, str):
            continue
        if item == requirement:
            return False
        # With markers one package may stand there several times, each for its own platform.
        if name is not None and distribution_name(item) == name and ";" not in item + requirement:
            # The bare name asks for no version: what is there fits.
            if re.fullmatch(r"[A-Za-z0-9._-]+", requirement):
                return False
            items[at] = requirement
            return True
    multiline = len(items) > 0 and "\n" in items.as_string()
    items.append(requirement)
    if multiline:
        items.multiline(True)
    return True


def _replace(file: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        os.fchmod(handle, file.stat().st_mode & 0o777)
        stream.flush()
        os.fsync(handle)
    Path(temporary).replace(file)
