"""The JSON Schema (draft 2020-12) of jupyter-container.toml, for editors (taplo, VS Code) and checkers."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import msgspec

from . import model

__all__ = ["json_schema"]

_ID = "https://jupyter-containers.readthedocs.io/jupyter-container.schema.json"


def json_schema() -> dict[str, Any]:
    """The schema. It holds what single values look like; what only the whole document shows, `load_spec` tells."""
    made = msgspec.json.schema(model.EnvironmentSpec)
    parts = {name: _refined(part) for name, part in made["$defs"].items()}
    for name, lines in _docstrings().items():
        if name in parts:
            for field, text in lines.items():
                parts[name]["properties"][field.replace("_", "-")]["description"] = text
    root = parts.pop("EnvironmentSpec")
    # Where a file has no name, its folder's is taken.
    root["required"] = [name for name in root["required"] if name != "name"]
    root["title"] = "jupyter-container.toml"
    root["description"] = (
        "The environment of a folder's notebooks: what `jupyter containers build` makes an image from."
    )
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _ID}
    return {**head, **root, "$defs": dict(sorted(parts.items()))}


def _refined(value: Any) -> Any:
    """*value* as TOML has it: no null, and sizes and durations are text or whole numbers."""
    if isinstance(value, list):
        return [_refined(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {name: _refined(item) for name, item in value.items() if not (name == "default" and _is_empty(item))}
    choices = [item for item in made.get("anyOf", []) if item != {"type": "null"}]
    if len(choices) == 1:
        del made["anyOf"]
        made = {**choices[0], **made}
    if made.get("type") == "integer" and "pattern" in made:
        made["type"] = ["string", "integer"]
        made["exclusiveMinimum"] = 0
    if made.get("required") == []:
        del made["required"]
    return made


def _is_empty(default: Any) -> bool:
    """A default that says nothing: null, which TOML lacks, and empty lists and tables."""
    return default is None or default == [] or isinstance(default, dict)


def _docstrings() -> dict[str, dict[str, str]]:
    """The text below each field of the model's classes, by class and field.

    Python keeps no docstrings of fields, so the source is read; the model stays the one place that says it.
    """
    found: dict[str, dict[str, str]] = {}
    tree = ast.parse(Path(model.__file__).read_text("utf-8"))
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, text in zip(node.body, node.body[1:], strict=False):
            match (field, text):
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as words)):
                    found.setdefault(node.name, {})[name] = re.sub(r"\s+", " ", words.replace("``", "`")).strip()
    return found
