"""Values as TOML text (toml.io, v1.0.0), laid out to be read in a diff: what changes together is on one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["dump", "inline"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_SPECIAL = re.compile(r'[\x00-\x1f\x7f"\\]')
_LONG = 100


def dump(document: Mapping[str, Any]) -> str:
    """A document of strings, integers, floats, booleans, lists and mappings; a key order that is kept."""
    return "\n".join(_table(document, ())).lstrip("\n") + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    later: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping) or _is_tables(key, value):
            later.append((key, value))
        else:
            yield from _pair(key, value)
    for key, value in later:
        below = (*path, key)
        name = ".".join(map(_key, below))
        if isinstance(value, Mapping):
            # A table that only holds tables needs no head of its own; an empty one does.
            if not value or any(
                not isinstance(item, Mapping) and not _is_tables(each, item) for each, item in value.items()
            ):
                yield from ("", f"[{name}]")
            yield from _table(value, below)
        else:
            for each in value:
                yield from ("", f"[[{name}]]")
                for inner, item in each.items():
                    yield from _pair(inner, item)


def _is_tables(key: str, value: Any) -> bool:
    """Python packages get a table each, as PEP 751 shows them; other lists of mappings a line for each."""
    return key == "packages" and isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _pair(key: str, value: Any) -> Iterator[str]:
    short = f"{_key(key)} = {inline(value)}"
    if not isinstance(value, list | tuple) or not value:
        yield short
        return
    if len(short) <= _LONG and not any(isinstance(item, Mapping) for item in value):
        yield short
        return
    yield f"{_key(key)} = ["
    for item in value:
        yield f"    {inline(item)},"
    yield "]"


def inline(value: Any) -> str:
    """One value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return f'"{_SPECIAL.sub(_escape, value)}"'
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {inline(item)}' for key, item in value.items())} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else inline(key)


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}"
