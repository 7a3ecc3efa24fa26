"""What msgspec says of a document that does not fit, in the words of who wrote the document.

msgspec speaks of types and regular expressions (``Expected `str` matching regex '…' - at `$.digest` ``; its
``docs/constraints`` and ``_core.c`` have the forms). A user has written a text, a number or a list. What is none of the
forms known here is told as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Misfit", "find_misfit"]

_TYPES = {
    "str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "null": "nothing",
    "array": "a list", "object": "a table of keys and values", "datetime": "a date and time", "date": "a date",
    "time": "a time", "bytes": "base64",
}  # fmt: skip
_PATTERNS = {r"^sha256:[0-9a-f]{64}$": "has to be `sha256:` and 64 hexadecimal digits"}
"""What a text has to be, by the regular expression that it has to match."""
_COMPARED = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


class Misfit(NamedTuple):
    """What is wrong, and where."""

    cause: str
    key: str
    """Dotted, ``packages.apt[2]``; empty: the whole."""


def find_misfit(error: Exception) -> Misfit:
    """What *error*, mostly one of msgspec, says, in a user's words. Pure."""
    text, _, place = str(error).partition(" - at `$")
    key = place.rstrip("`").lstrip(".").replace("[...]", "")
    for pattern, tell in _FORMS:
        found = pattern.fullmatch(text)
        if found is not None:
            return tell(found, key)
    return Misfit(text, key)


def _type(words: str) -> str:
    """``int | null``."""
    named = [_TYPES.get(word, f"`{word}`") for word in words.split(" | ")]
    return " or ".join(word for word in named if word != "nothing" or len(named) == 1)


def _wrong_type(found: re.Match[str], key: str) -> Misfit:
    return Misfit(f"has to be {_type(found['wanted'])}, and is {_type(found['given'])}", key)


def _not_written_so(found: re.Match[str], key: str) -> Misfit:
    return Misfit(_PATTERNS.get(found["pattern"], "is not written as it has to be"), key)


def _wrong_length(found: re.Match[str], key: str) -> Misfit:
    things = "characters" if found["type"] == "str" else "items"
    return Misfit(f"has to have {_COMPARED[found['how']]} {found['number']} {things}", key)


def _wrong_number(found: re.Match[str], key: str) -> Misfit:
    return Misfit(f"has to be {_COMPARED[found['how']]} {found['number'].removesuffix('.0')}", key)


def _lacks(found: re.Match[str], key: str) -> Misfit:
    return Misfit(f"`{found['name']}` is missing", key)


def _unknown(found: re.Match[str], key: str) -> Misfit:
    return Misfit(f"has an unknown field `{found['name']}`", key)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], Misfit]], ...] = (
    (re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<given>[^`]+)`"), _wrong_type),
    (re.compile(r"Expected `str` matching regex (?P<quote>['\"])(?P<pattern>.*)(?P=quote)"), _not_written_so),
    (
        re.compile(r"Expected `(?P<type>[a-z]+)` of length (?P<how>[<>]=?) (?P<number>\d+)"),
        _wrong_length,
    ),
    (re.compile(r"Expected `(?:int|float)` (?P<how>[<>]=?) (?P<number>-?[\d.]+)"), _wrong_number),
    (re.compile(r"Object missing required field `(?P<name>[^`]+)`"), _lacks),
    (re.compile(r"Object contains unknown field `(?P<name>[^`]+)`"), _unknown),
    (
        re.compile(r"Invalid enum value (?P<value>.+)"),
        lambda found, key: Misfit(f"{found['value']} is none of the values that are known", key),
    ),
    (re.compile(r"JSON is malformed: (?P<cause>.+)"), lambda found, key: Misfit(f"is not JSON: {found['cause']}", key)),
    (re.compile(r"Input data was truncated"), lambda _, key: Misfit("is cut off before the end of its JSON", key)),
)
