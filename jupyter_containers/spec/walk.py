"""The border: a raw document against the types of the model, with every problem and not only the first.

msgspec stops at the first error of a document; a user wants all of them at once, each with its line. So the raw
document is walked along the types (``msgspec.inspect``) with the rules of :mod:`.checks`, and what is left is
converted by msgspec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from ..errors import Problem
from .checks import CHECKS, Wrong

__all__ = ["Key", "Locate", "Place", "convert", "nearest", "show_key"]

Key = tuple[str | int, ...]
"""The way to a value: ``("packages", "apt", 2)``."""
T = TypeVar("T", bound=msgspec.Struct)


class Place(msgspec.Struct, frozen=True):
    """Where the user wrote something."""

    file: str
    line: int | None = None
    key: str = ""
    """Empty where the file's format has no keys."""


Locate = Callable[[Key], Place]


class _Bad:
    """Stands for a value that is wrong and was told of already."""


_BAD = _Bad()


def convert(document: dict[str, Any], type_: type[T], *, locate: Locate, problems: list[Problem]) -> T | None:
    """*document* as a *type_*; what is wrong is appended to *problems*, and then the result is None."""
    walk = _Walk(locate, problems)
    before = len(problems)
    value = walk.visit(_type_info(type_), document, ())
    return None if len(problems) > before else msgspec.convert(value, type_)


def show_key(key: Key) -> str:
    """``packages.apt[2]``, ``build.env."A B"``."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part if part and all(c.isalnum() or c in "_-" for c in part) else f'"{part}"'
            text += f".{plain}" if text else plain
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """Text that proposes the one of *known* that is most like *word*, or lists them all."""
    import difflib  # late: for mistakes only

    choices = sorted(known)
    lowered = word.lower().replace("_", "-")
    found = [lowered] if lowered in choices else difflib.get_close_matches(lowered, choices, n=1, cutoff=0.6)
    return f"Did you mean `{found[0]}`?" if found else f"Known here: {', '.join(choices)}"


@cache
def _type_info(type_: Any) -> inspect.Type:
    # Half of a small spec's reading time without the cache.
    return inspect.type_info(type_)


class _Walk:
    def __init__(self, locate: Locate, problems: list[Problem]) -> None:
        self.locate = locate
        self.problems = problems

    def report(self, key: Key, cause: str, remedy: str = "") -> _Bad:
        place = self.locate(key)
        self.problems.append(Problem(file=place.file, line=place.line, key=place.key, cause=cause, remedy=remedy))
        return _BAD

    def visit(self, type_: inspect.Type, value: Any, key: Key, check: str | None = None) -> Any:
        match type_:
            case inspect.Metadata():
                return self.visit(type_.type, value, key, (type_.extra or {}).get("check", check))
            case inspect.UnionType():
                # The model's only unions are `X | None`, and TOML has no null.
                (wanted,) = (item for item in type_.types if not isinstance(item, inspect.NoneType))
                return self.visit(wanted, value, key, check)
            case inspect.StructType():
                return self.table(type_, value, key)
            case inspect.DictType():
                return self.mapping(type_, value, key)
            case inspect.VarTupleType():
                if not isinstance(value, list):
                    return self.wrong_type(key, value, "a list")
                items = [self.visit(type_.item_type, item, (*key, at)) for at, item in enumerate(value)]
                return tuple(item for item in items if not isinstance(item, _Bad))
            case inspect.LiteralType():
                if not isinstance(value, str):
                    return self.wrong_type(key, value, "text")
                if value not in type_.values:
                    return self.report(
                        key, f"{value!r} is not one of the values", nearest(value, map(str, type_.values))
                    )
                return value
        return self.scalar(type_, value, key, check)

    def scalar(self, type_: inspect.Type, value: Any, key: Key, check: str | None) -> Any:
        accepted: tuple[type, ...]
        match type_:
            case inspect.StrType():
                accepted, wanted = (str,), "text"
            case inspect.IntType():
                accepted, wanted = (int,), "a whole number"
            case inspect.FloatType():
                accepted, wanted = (int, float), "a number"
            case _:
                raise TypeError(f"the model has a type that the border does not know: {type_}")
        if check == "size":
            accepted, wanted = (str, int), 'a size such as "2G", or a number of bytes'
        elif check == "duration":
            accepted, wanted = (str, int), 'a duration such as "2h", or a number of seconds'
        # bool is an int in Python and is none in TOML
        if not isinstance(value, accepted) or isinstance(value, bool):
            return self.wrong_type(key, value, wanted)
        return self.check(check, value, key)

    def check(self, name: str | None, value: Any, key: Key) -> Any:
        if name is None:
            return value
        try:
            return CHECKS[name](value)
        except Wrong as wrong:
            return self.report(key, wrong.cause, wrong.remedy)

    def table(self, type_: inspect.StructType, value: Any, key: Key) -> Any:
        if not isinstance(value, dict):
            return self.wrong_type(key, value, "a table")
        fields = {field.encode_name: field for field in type_.fields}
        made: dict[str, Any] = {}
        for name, item in value.items():
            if name not in fields:
                self.report((*key, name), "unknown key", nearest(name, fields))
                continue
            found = self.visit(fields[name].type, item, (*key, name))
            if not isinstance(found, _Bad):
                made[name] = found
        missing = [name for name, field in fields.items() if field.required and name not in made]
        for name in missing:
            if name not in value:
                self.report(key, f"`{name}` is missing", "Add it")
        return _BAD if missing else made

    def mapping(self, type_: inspect.DictType, value: Any, key: Key) -> Any:
        if not isinstance(value, dict):
            return self.wrong_type(key, value, "a table")
        made: dict[str, Any] = {}
        for name, item in value.items():
            found_name = self.visit(type_.key_type, name, (*key, name))
            found = self.visit(type_.value_type, item, (*key, name))
            if not isinstance(found_name, _Bad) and not isinstance(found, _Bad):
                made[name] = found
        return made

    def wrong_type(self, key: Key, value: Any, wanted: str) -> _Bad:
        remedy = ""
        if wanted == "text" and isinstance(value, int | float) and not isinstance(value, bool):
            remedy = f'Put it in quotes: "{value}"'
        elif wanted == "a list" and isinstance(value, str):
            remedy = f'Put it in brackets: ["{value}"]' if len(value) < 60 else "Put it in brackets"
        elif wanted.endswith("number") and isinstance(value, str):
            remedy = "Remove the quotes"
        return self.report(key, f"is {_kind(value)}, and has to be {wanted}", remedy)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "text"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "a table"
    return "a date or time"
