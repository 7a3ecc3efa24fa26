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
from .reading import parse_toml
from .requirement import Wrong, check_requirement, distribution_name
from .walk import show_key

__all__ = ["Edit", "change_text", "edit_packages", "replace_text"]


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


def edit_packages(
    name: str, text: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> tuple[str, tuple[str, ...]]:
    """*text* of the file *name* with the requirements *add* among its Python packages, and without those that *remove*
    names; and what of the two has changed it.

    *name* is a jupyter-container.toml, a pyproject.toml (the table ``[tool.jupyter-containers]`` where it has one, else
    the project's dependencies) or a requirements.txt. A package that is listed already is replaced where its versions
    differ. Comments and layout stay. :class:`SpecError` where the file can't be changed by a program, or lacks what is
    to be removed.
    """
    wanted, leaving = _checked(add), _checked(remove)
    if name.endswith((".txt", ".in")):
        return _edit_lines(name, text, wanted, leaving)
    if not name.endswith(".toml") or name.startswith("pylock."):
        problem = Problem(file=name, cause="is not changed by this program", remedy=_BY_HAND.get(name, _IN_THE_FILE))
        raise SpecError("the packages can't be changed", problems=[problem])
    import tomlkit

    parse_toml(text, name)
    document = tomlkit.parse(text)
    items = _pip_list(document, name)
    changed = [requirement for requirement in wanted if _put(items, requirement)]
    changed += [requirement for requirement in leaving if _take(items, requirement, name)]
    return (tomlkit.dumps(document) if changed else text), tuple(changed)


_IN_THE_FILE = "Change it in the file"
_BY_HAND = {
    "environment.yml": "Add it below `pip:` in the file",
    "environment.yaml": "Add it below `pip:` in the file",
    "uv.lock": "Use `uv add`",
}


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


def _pip_list(document: Any, file: str) -> Any:
    """The list of requirements of the spec in *document*, made where it is missing."""
    import tomlkit

    table: Any = document
    path: tuple[str, ...] = ("packages", "pip")
    if file == "pyproject.toml":
        own = document
        for name in TABLE:
            own = own.get(name) if isinstance(own, dict) else None
        if isinstance(own, dict):
            table, path = own, (*map(str, TABLE), "packages", "pip")
        else:
            table, path = document, ("project", "dependencies")
            if not isinstance(document.get("project"), dict):
                problem = Problem(file=file, cause="has neither [project] nor [tool.jupyter-containers]")
                raise SpecError("no spec to add packages to", problems=[problem])
    packages = table.setdefault(path[-2], tomlkit.table())
    items = packages.setdefault(path[-1], tomlkit.array()) if isinstance(packages, dict) else None
    if not isinstance(items, list):
        raise SpecError(
            "no list to add to", problems=[Problem(file=file, key=show_key(path), cause="has to be a list")]
        )
    return items


def _place(items: Sequence[Any], requirement: str) -> int | None:
    """Where *requirement*, or the one of that name that it would take the place of, stands in *items*."""
    name = distribution_name(requirement)
    for at, item in enumerate(items):
        if not isinstance(item, str):
            continue
        # With markers one package may stand there several times, each for its own platform.
        same = name is not None and distribution_name(item) == name and ";" not in item + requirement
        if item == requirement or same:
            return at
    return None


def _is_bare(requirement: str) -> bool:
    """Whether it asks for no version: any that is there fits."""
    return re.fullmatch(r"[A-Za-z0-9._-]+", requirement) is not None


def _put(items: Any, requirement: str) -> bool:
    at = _place(items, requirement)
    if at is None:
        items.append(requirement)
    elif items[at] == requirement or _is_bare(requirement):
        return False
    else:
        items[at] = requirement
    return True


def _take(items: Any, requirement: str, file: str) -> bool:
    found = [at for at, item in enumerate(items) if isinstance(item, str) and _names(item, requirement)]
    if not found:
        raise _not_listed(requirement, file)
    for at in reversed(found):
        del items[at]
    return True


def _names(item: str, requirement: str) -> bool:
    name = distribution_name(requirement)
    return item == requirement or (name is not None and distribution_name(item) == name)


def _not_listed(requirement: str, file: str) -> SpecError:
    remedy = "Another package may need it, or another file name it: `explain` shows which"
    problem = Problem(file=file, cause=f"does not list {requirement}", remedy=remedy)
    return SpecError("there is nothing to remove", problems=[problem])


def _edit_lines(name: str, text: str, wanted: list[str], leaving: list[str]) -> tuple[str, tuple[str, ...]]:
    """A requirements.txt: a line for each package."""
    if "--hash" in text:
        remedy = "Use the tool that wrote it, pip-compile or `uv pip compile`"
        problem = Problem(file=name, cause="has hashes, which change together", remedy=remedy)
        raise SpecError("the packages can't be changed", problems=[problem])
    lines = text.splitlines(keepends=True)
    # Continued lines, options and comments are none that a package is looked for in.
    items = [re.sub(r"(^|\s+)#.*$", "", line.rstrip("\r\n")).strip() for line in lines]
    items = ["" if item.endswith("\\") or item.startswith("-") else item for item in items]
    changed = []
    for requirement in wanted:
        at = _place(items, requirement)
        if at is None:
            if lines and not lines[-1].endswith("\n"):
                lines[-1] += "\n"
            lines.append(f"{requirement}\n")
            items.append(requirement)
        elif items[at] == requirement or _is_bare(requirement):
            continue
        else:
            lines[at], items[at] = lines[at].replace(items[at], requirement, 1), requirement
        changed.append(requirement)
    for requirement in leaving:
        found = [at for at, item in enumerate(items) if item and _names(item, requirement)]
        if not found:
            raise _not_listed(requirement, name)
        for at in reversed(found):
            del lines[at], items[at]
        changed.append(requirement)
    return "".join(lines), tuple(changed)


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
