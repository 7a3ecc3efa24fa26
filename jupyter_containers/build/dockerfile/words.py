"""Expansion of variables in instructions, as BuildKit's ``shell/lex.go`` does it.

=====================  ==========================================================================
``$x  ${x}``           its value, empty where it is not set
``${x:-w} ${x-w}``     *w* where it is not set (with ``:``, or empty)
``${x:+w} ${x+w}``     *w* where it is set (with ``:``, and not empty)
``${x:?w} ${x?w}``     an error that says *w* where it is not set (with ``:``, or empty)
``${x#p} ${x##p}``     without the shortest, longest beginning that fits the pattern *p*
``${x%p} ${x%%p}``     without the shortest, longest ending that fits
``${x/p/w} ${x//p/w}`` with *w* for the first, for all that fit
=====================  ==========================================================================

Single quotes keep all as it is, double quotes keep blanks together, the escape character takes a meaning away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

__all__ = ["ExpansionError", "expand", "json_words", "listed_words", "split_words"]


_LONGEST = 128 << 10
"""Characters that variables may add to one word, as many as Linux lets one of a process have (MAX_ARG_STRLEN): each may
hold the one before it twice, and thirty of them all memory."""
_LONGEST_SEARCHED = 16 << 10
"""Characters of a value that ``${x/p/w}`` looks for its pattern in: it takes the square of that."""


class ExpansionError(Exception):
    """A word that can't be expanded; the text is the cause."""


def expand(word: str, variables: Mapping[str, str], escape: str = "\\", *, quotes: bool = True) -> str:
    """*word* with its variables put in, and its quotes taken off.

    *quotes* False: quotes are ordinary characters, as in a heredoc. Raises :class:`ExpansionError`.
    """
    reader = _Reader(word, variables, escape, quotes)
    return reader.read_until("")


def split_words(text: str, escape: str) -> list[str]:
    """The words of ``ENV`` and its like: parted at blanks, quotes and escapes left in (BuildKit, ``parseWords``)."""
    from .lexer import shell_words

    return list(shell_words(text, escape))


def json_words(rest: str) -> tuple[str, ...] | None:
    """The strings of an exec form, None where *rest* is none: then the text is for the shell."""
    if not rest.startswith("["):
        return None
    try:
        value = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    return tuple(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def listed_words(rest: str) -> tuple[str, ...]:
    """The words of a list: in JSON, or parted at blanks."""
    found = json_words(rest)
    return tuple(rest.split()) if found is None else found


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str, quotes: bool) -> None:
        self._text, self._variables, self._escape, self._quotes = text, variables, escape, quotes
        self._at = 0
        self._depth = 0
        self._added = 0

    def read_until(self, stop: str) -> str:
        """Up to an unquoted *stop* (which is consumed), or the end where it is empty."""
        result: list[str] = []
        while self._at < len(self._text):
            char = self._take()
            if stop and char in stop:
                self._at -= 1
                return "".join(result)
            if char == "'" and self._quotes:
                result.append(self._single())
            elif char == '"' and self._quotes:
                result.append(self._double())
            elif char == "$":
                result.append(self._dollar())
            elif char == self._escape:
                result.append(self._escaped())
            else:
                result.append(char)
        if stop:
            raise ExpansionError(f"{self._text!r}: a ${{ has no }}")
        return "".join(result)

    def _take(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _escaped(self) -> str:
        if self._at == len(self._text):
            return self._escape if not self._quotes else ""
        char = self._take()
        if not self._quotes and char not in {"$", self._escape}:
            return self._escape + char
        return char

    def _single(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise ExpansionError(f"{self._text!r}: a ' has no end")
        text, self._at = self._text[self._at : end], end + 1
        return text

    def _double(self) -> str:
        result: list[str] = []
        while self._at < len(self._text):
            char = self._take()
            if char == '"':
                return "".join(result)
            if char == "$":
                result.append(self._dollar())
            elif char == self._escape:
                following = self._take() if self._at < len(self._text) else ""
                result.append(following if following in {'"', "$", self._escape} else char + following)
            else:
                result.append(char)
        raise ExpansionError(f'{self._text!r}: a " has no end')

    def _dollar(self) -> str:
        value = self._value()
        self._added += len(value)
        if self._added > _LONGEST:
            raise ExpansionError(f"{self._text[:80]!r}: its variables hold more than {_LONGEST} characters")
        return value

    def _value(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._at += 1
        self._depth += 1
        if self._depth > 50:
            raise ExpansionError(f"{self._text[:80]!r}: variables nested too deep")
        try:
            return self._braces()
        finally:
            self._depth -= 1

    def _name(self) -> str:
        match = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#]").match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _braces(self) -> str:
        name = self._name()
        if not name:
            raise ExpansionError(f"{self._text!r}: ${{}} holds no name")
        value = self._variables.get(name)
        operator = self._take() if self._at < len(self._text) else ""
        if operator == "}":
            return value or ""
        if operator == ":":
            operator += self._take() if self._at < len(self._text) else ""
        elif operator in {"#", "%", "/"} and self._peek() == operator:
            operator += self._take()
        if operator not in {":-", "-", ":+", "+", ":?", "?", "#", "##", "%", "%%", "/", "//"}:
            raise ExpansionError(f"{self._text!r}: ${{{name}{operator}…}} is no expansion that is known")
        word = self.read_until("/}" if operator in {"/", "//"} else "}")
        if operator in {"/", "//"}:
            replacement = ""
            if self._take() == "/":
                replacement = self.read_until("}")
                self._at += 1
            return self._replace(value or "", word, replacement, times=0 if operator == "//" else 1)
        self._at += 1
        return self._choose(name, value, operator, word)

    def _replace(self, value: str, pattern: str, replacement: str, *, times: int) -> str:
        if len(value) > _LONGEST_SEARCHED:
            raise ExpansionError(f"{self._text[:80]!r}: a value of {len(value)} characters is not searched")
        left = _LONGEST

        def put(match: re.Match[str]) -> str:
            nonlocal left
            left -= len(replacement)
            if left < 0:
                raise ExpansionError(f"{self._text[:80]!r}: it becomes longer than {_LONGEST} characters")
            return replacement

        return _compile(pattern, longest=True).sub(put, value, count=times)

    def _choose(self, name: str, value: str | None, operator: str, word: str) -> str:
        present = bool(value) if operator.startswith(":") else value is not None
        match operator[-1]:
            case "-":
                return value or "" if present else word
            case "+":
                return word if present else ""
            case "?":
                if not present:
                    raise ExpansionError(f"{name}: {word or 'it is not set'}")
                return value or ""
        return _trim(value or "", operator, word)


def _trim(value: str, operator: str, pattern: str) -> str:
    """*value* without what fits *pattern* at its beginning (``#``), or its end (``%``)."""
    # An ending is a beginning, read backwards.
    step = 1 if operator[0] == "#" else -1
    found = _compile(pattern[::step], longest=len(operator) == 2).match(value[::step])
    return value if found is None else value[::step][found.end() :][::step]


def _compile(pattern: str, *, longest: bool) -> re.Pattern[str]:
    """A shell's pattern with ``*`` and ``?``; a match ends as late as can be, or as early.

    Only the last ``*`` has a choice. Those before it take the least that lets what follows fit, and never more (atomic
    groups), so that no pattern takes longer than its length times the value's.
    """
    head, *segments = [
        "".join("." if char == "?" else re.escape(char) for char in segment) for segment in pattern.split("*")
    ]
    last = len(segments) - 1
    many = ".*" if longest else ".*?"
    rest = [f"{many}{text}" if at == last else f"(?>.*?{text})" for at, text in enumerate(segments)]
    return re.compile("".join((head, *rest)), re.DOTALL)
