"""Changes to a spec's file that keep the user's formatting and comments."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..errors import Problem, SpecError
from .project import TABLE
from .reading import Folder, parse_toml
from .requirement import Wrong, check_requirement, distribution_name
from .walk import show_key

__all__ = ["Edit", "add_packages", "change_text", "replace_text"]


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value of a spec that is to be another."""

    key: tuple[str, ...]
    """The way to it: ``["packages", "pip"]``."""
    value: Any = None
    """As TOML has it; None: the key is to go."""


def change_text(text: str, changes: Sequence[Edit], *, in_project: bool = False) -> str:
    """The TOML *text* of a jupyter-container.toml with *changes* made, all else as it is: comments, order, layout.

    Of a list the entries that stay keep their comments. *in_project*: the spec is the table of a pyproject.toml. What
    comes of it may be no valid spec. :class:`SpecError` where *text* is not TOML, or a key leads through a value.
    """
    import tomlkit

    parse_toml(text, "")
    document = tomlkit.parse(text)
    for change in changes:
        table: Any = document
        key = (*map(str, TABLE), *change.key) if in_project else change.key
        for at, name in enumerate(key[:-1]):
            if name not in table and change.value is None:
                break
            # A table between others gets no header of its own: `[packages.x]` says `packages` as well.
            table = table.setdefault(name, tomlkit.table(is_super_table=at < len(key) - 2))
            if not isinstance(table, dict):
                problem = Problem(file="", key=show_key(key[: at + 1]), cause="has to be a table")
                raise SpecError("the change can't be made", problems=[problem])
        else:
            _set(table, key[-1], change.value)
    return tomlkit.dumps(document)


def _set(table: Any, name: str, value: Any) -> None:
    present = table.get(name)
    if value is None:
        table.pop(name, None)
    elif isinstance(present, list) and isinstance(value, list) and _is_plain(present) and _is_plain(value):
        _set_list(present, value)
    elif present != value or type(present) is not type(value):
        table[name] = value


def _is_plain(items: Sequence[Any]) -> bool:
    return not any(isinstance(item, dict | list) for item in items)


def _set_list(items: Any, wanted: list[Any]) -> None:
    """Make *items* equal to *wanted* by taking away and adding; what stays is not touched."""
    for at in reversed(range(len(items))):
        if items[at] not in wanted:
            del items[at]
    if list(items) != wanted[: len(items)]:  # another order
        items.clear()
    for item in wanted[len(items) :]:
        items.append(item)


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
        replace_text(file, tomlkit.dumps(document))
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
    items.append(requirement)
    return True


def replace_text(file: Path, text: str) -> None:
    """Write *text* to *file* in one step: a reader, and a crash, see the old text or the new one.

    The mode of a file that is there is kept. A link is replaced and not followed. :class:`SpecError` where it can't be
    written.
    """
    try:
        _replace(file, text)
    except (OSError, UnicodeEncodeError) as error:
        cause = f"can't be written: {getattr(error, 'strerror', None) or error}"
        raise SpecError("the spec can't be kept", problems=[Problem(file=str(file), cause=cause)]) from error


def _replace(file: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(handle, _mode(file))
            os.fsync(handle)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mode(file: Path) -> int:
    try:
        return stat.S_IMODE(file.lstat().st_mode) if not file.is_symlink() else 0o644
    except FileNotFoundError:
        return 0o644
