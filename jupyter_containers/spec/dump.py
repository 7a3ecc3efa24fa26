"""A spec as the text of a jupyter-container.toml: only what differs from the defaults, in the model's order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .durations import format_duration
from .model import HOME, EnvironmentSpec
from .sizes import write_size

__all__ = ["dump_spec", "quote"]

_BARE = r"[A-Za-z0-9_-]+"
_SIZES = frozenset({"memory", "disk"})


def dump_spec(spec: EnvironmentSpec) -> str:
    """TOML that reads back as *spec*. Copies are written relative to the home folder, as a file has them."""
    document = _plain(spec)
    for copy in document.get("build", {}).get("copy", []):
        target = copy["target"]
        if target == HOME or target.startswith(f"{HOME}/"):
            copy["target"] = target[len(HOME) + 1 :] or "."
    resources = document.get("resources", {})
    for name in _SIZES & resources.keys():
        resources[name] = write_size(resources[name])
    if "time" in resources:
        resources["time"] = format_duration(resources["time"])
    return "\n".join(_table(document, ())).lstrip("\n") + "\n"


def quote(text: str) -> str:
    """*text* as a TOML basic string."""
    # TOML's escapes hold all of JSON's, and it wants DEL escaped as well.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(value: Any) -> Any:
    """Structs as dicts of what is not the default, tuples as lists."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        pairs = ((field.encode_name, field, getattr(value, field.name)) for field in fields)
        return {name: _plain(item) for name, field, item in pairs if field.required or item != _default(field)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Lines of *table*: its own values first, since a table's header ends the one before."""
    nested = {name: value for name, value in table.items() if _is_nested(value)}
    own = {name: value for name, value in table.items() if name not in nested}
    if path and (own or not nested):
        yield from ("", f"[{_path(path)}]")
    for name, value in own.items():
        yield f"{_key(name)} = {_value(value)}"
    for name, value in nested.items():
        if isinstance(value, list):
            for item in value:
                yield from ("", f"[[{_path((*path, name))}]]")
                yield from (f"{_key(key)} = {_value(part)}" for key, part in item.items())
        else:
            yield from _table(value, (*path, name))


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _value(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        if len(value) < 2:
            return f"[{', '.join(map(_value, value))}]"
        return "\n".join(["[", *(f"  {_value(item)}," for item in value), "]"])
    return repr(value)


def _key(name: str) -> str:
    return name if re.fullmatch(_BARE, name) else quote(name)


def _path(parts: Iterable[str]) -> str:
    return ".".join(map(_key, parts))
