"""JSON with comments, as devcontainer.json is written (jsonc.org): values, and the lines that they stand in.

Comments and commas before a closing bracket are blanked out, which keeps every line where it is; what is left is JSON.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import Problem, SpecError
from .walk import Key

__all__ = ["parse_jsonc"]

_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<mark>[{}\[\],:])|(?P<other>[^\s"{}\[\],:/]+)|(?P<bad>\S)',
    re.DOTALL,
)
_DEEPEST = 20


def parse_jsonc(text: str, file: str) -> tuple[dict[str, Any], dict[Key, int]]:
    """The document of *text*, an object, and the line of each of its values.

    :class:`SpecError` with the line for what is not well formed, nested too deep, or has a key twice.
    """
    plain = _blanked(text)
    try:
        document = json.loads(plain, object_pairs_hook=_once)
        lines = _lines(plain)
    except _DeepError:
        raise _refused(file, None, f"is nested more than {_DEEPEST} deep") from None
    except RecursionError:
        raise _refused(file, None, f"is nested more than {_DEEPEST} deep") from None
    except json.JSONDecodeError as error:
        raise _refused(file, error.lineno, f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}") from None
    except _TwiceError as error:
        raise _refused(file, None, f"has the key {error} twice") from None
    if not isinstance(document, dict):
        raise _refused(file, 1, "is not an object: { … }")
    return document, lines


class _TwiceError(Exception):
    pass


class _DeepError(Exception):
    pass


def _refused(file: str, line: int | None, cause: str) -> SpecError:
    problem = Problem(file=file, line=line, cause=cause, remedy="Correct the file")
    return SpecError("the spec is not valid", problems=[problem])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(repr(next(name for name in names if names.count(name) > 1)))
    return made


def _blanked(text: str) -> str:
    pieces: list[str] = []
    comma = -1
    """Where the last piece that is more than blanks is, if that is a comma."""
    position = 0
    for token in _TOKEN.finditer(text):
        pieces.append(text[position : token.start()])
        position = token.end()
        piece = token[0]
        if token["comment"]:
            pieces.append(re.sub(r"[^\n]", " ", piece))
            continue
        if piece in {"}", "]"} and comma >= 0:
            pieces[comma] = " "
        pieces.append(piece)
        comma = len(pieces) - 1 if piece == "," else -1
    return "".join([*pieces, text[position:]])


def _lines(text: str) -> dict[Key, int]:
    """By key, of well formed JSON."""
    found: dict[Key, int] = {}
    path: list[str | int] = []
    kinds: list[str] = []
    """Of the open objects and lists; in an object the key is on *path* from its name to the next comma."""
    expects_key = False
    line, position = 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", position, token.start())
        position = token.start()
        piece = token[0]
        if expects_key and token["string"]:
            path[-1] = json.loads(piece)
            found[tuple(path)] = line
            expects_key = False
        elif piece in {"{", "["}:
            if kinds and kinds[-1] == "[":
                found[tuple(path)] = line
            kinds.append(piece)
            path.append("" if piece == "{" else 0)
            expects_key = piece == "{"
            if len(kinds) > _DEEPEST:
                raise _DeepError
        elif piece in {"}", "]"}:
            kinds.pop()
            path.pop()
            expects_key = False
        elif piece == ",":
            expects_key = kinds[-1] == "{"
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1
        elif piece != ":" and kinds and kinds[-1] == "[":
            found[tuple(path)] = line
    return found
