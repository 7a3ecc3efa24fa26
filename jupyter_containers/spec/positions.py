"""Which line of a TOML text each key and each array item is on.

``tomllib`` does not tell, and tomlkit keeps no positions. The scanner is run only where there is an error to
place, on text that tomllib has accepted, so it need not tell right from wrong (grammar: toml.io, v1.0.0).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from .walk import Key

__all__ = ["Positions"]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")|'
    r"'''.*?'{3,5}(?!')|"
    r'"(?:\\.|[^"\\\n])*"|'
    r"'[^'\n]*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")


class Positions:
    """Lines of the keys of *text*; ``line(("packages", "apt", 1))``, 1-based."""

    def __init__(self, text: str) -> None:
        scan = _Scan(text)
        scan.document()
        starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._lines = {key: bisect_right(starts, offset) for key, offset in scan.found.items()}

    def has(self, key: Key) -> bool:
        return key in self._lines

    def line(self, key: Key) -> int | None:
        """The line of *key*, else of the nearest table or array around it; None where the text has none of it."""
        for end in range(len(key), 0, -1):
            if key[:end] in self._lines:
                return self._lines[key[:end]]
        return None


@dataclass
class _Scan:
    text: str
    at: int = 0
    found: dict[Key, int] = field(default_factory=dict)
    arrays: dict[Key, int] = field(default_factory=dict)
    """Arrays of tables, and how many tables each has so far."""

    def document(self) -> None:
        table: Key = ()
        while self.skip_blank() < len(self.text):
            start = self.at
            if self.text.startswith("[[", self.at):
                self.at += 2
                *parents, name = self.dotted_key()
                array = (*self.resolve(parents), name)
                self.arrays[array] = self.arrays.get(array, 0) + 1
                self.found.setdefault(array, start)
                table = (*array, self.arrays[array] - 1)
                self.at = self.text.index("]]", self.at) + 2
            elif self.text[self.at] == "[":
                self.at += 1
                table = self.resolve(self.dotted_key())
                self.at = self.text.index("]", self.at) + 1
            else:
                self.key_value(table)
                continue
            self.mark(table, start)

    def key_value(self, table: Key) -> None:
        start = self.at
        key = table
        for part in self.dotted_key():
            key = (*key, part)
            self.mark(key, start)
        self.at = self.text.index("=", self.at) + 1
        self.value(key)

    def value(self, key: Key) -> None:
        self.skip_blank()
        opening = self.text[self.at]
        if opening == "[":
            self.at += 1
            count = 0
            while self.text[self.skip_blank()] != "]":
                self.mark((*key, count), self.at)
                self.value((*key, count))
                count += 1
                self.skip_comma()
            self.at += 1
        elif opening == "{":
            self.at += 1
            while self.text[self.skip_blank()] != "}":
                self.key_value(key)
                self.skip_comma()
            self.at += 1
        else:
            found = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            assert found is not None
            self.at = found.end()

    def dotted_key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self.skip_blank()
            if self.text[self.at] in "\"'":
                quoted = _STRING.match(self.text, self.at)
                assert quoted is not None
                parts.append(_unquote(quoted[0]))
                self.at = quoted.end()
            else:
                bare = _BARE_KEY.match(self.text, self.at)
                assert bare is not None
                parts.append(bare[0])
                self.at = bare.end()
            self.skip_blank()
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def resolve(self, parts: list[str]) -> Key:
        """The key that a table header means: a name of an array of tables stands for its last table."""
        key: Key = ()
        for part in parts:
            key = (*key, part)
            if key in self.arrays:
                key = (*key, self.arrays[key] - 1)
        return key

    def mark(self, key: Key, offset: int) -> None:
        for end in range(1, len(key) + 1):
            self.found.setdefault(key[:end], offset)

    def skip_blank(self) -> int:
        found = _BLANK.match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        return self.at

    def skip_comma(self) -> None:
        if self.text[self.skip_blank()] == ",":
            self.at += 1


def _unquote(text: str) -> str:
    if text[0] == "'":
        return text[1:-1]
    import tomllib

    value = tomllib.loads(f"x = {text}")["x"]
    assert isinstance(value, str)
    return value
