"""Patterns of file names: those of COPY (Go's ``path/filepath.Match``) and of .dockerignore, which know ``**``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...errors import InputError, Problem

__all__ = ["Ignore", "has_wildcards", "parse_ignore", "translate"]

_WILDCARDS = re.compile(r"[*?\[]")


def has_wildcards(path: str) -> bool:
    return _WILDCARDS.search(path) is not None


def translate(pattern: str) -> re.Pattern[str]:
    """The regular expression for a path that *pattern* fits; ``*`` and ``?`` don't take in a slash, ``**`` does.

    Raises :class:`ValueError` for a set that has no end.
    """
    result, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                at += 1
                result += "(?:.*/)?"
            else:
                result += ".*"
            continue
        at += 1
        if char == "*":
            result += "[^/]*"
        elif char == "?":
            result += "[^/]"
        elif char == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise ValueError(f"{pattern!r}: [ has no ]")
            inside = pattern[at:end]
            negated = inside.startswith("^")
            result += "[" + ("^/" if negated else "") + re.sub(r"([\[\]&~|\\^])", r"\\\1", inside[negated:]) + "]"
            at = end + 1
        elif char == "\\" and at < len(pattern):
            result += re.escape(pattern[at])
            at += 1
        else:
            result += re.escape(char)
    try:
        return re.compile(result, re.DOTALL)
    except re.error as error:
        raise ValueError(f"{pattern!r}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Rule:
    regex: re.Pattern[str]
    negated: bool
    prefix: str
    """The path up to the first wildcard: what can't lie below it needs no look."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """Which paths, relative to the context, are left out: the last rule that fits decides (moby: patternmatcher)."""

    rules: tuple[_Rule, ...] = ()

    def excludes(self, path: str) -> bool:
        """Whether *path* (no leading slash) or a folder that it is in is left out, and not taken in again."""
        parents = [path]
        while "/" in parents[-1]:
            parents.append(parents[-1].rpartition("/")[0])
        excluded = False
        for rule in self.rules:
            if rule.negated == excluded and any(rule.regex.fullmatch(each) for each in parents):
                excluded = not rule.negated
        return excluded

    def may_hold_exceptions(self, folder: str) -> bool:
        """Whether something in the excluded *folder* might be taken in again."""
        inside = f"{folder}/"
        return any(rule.negated and _overlap(inside, rule.prefix) for rule in self.rules)


def _overlap(first: str, second: str) -> bool:
    return first.startswith(second) or second.startswith(first)


def parse_ignore(text: str, file: str) -> Ignore:
    """The rules of a .dockerignore; :class:`InputError` with all lines that are no patterns."""
    return make_ignore(enumerate(text.removeprefix("\ufeff").splitlines(), 1), file)


def make_ignore(lines: Iterable[tuple[int, str]], file: str) -> Ignore:
    rules: list[_Rule] = []
    problems: list[Problem] = []
    for number, line in lines:
        pattern = line.strip()
        if not pattern or line.startswith("#"):
            continue
        negated = pattern.startswith("!")
        pattern = pattern[negated:].strip()
        if not pattern:
            problems.append(Problem(file, "a ! with no pattern", line=number))
            continue
        cleaned = posixpath.normpath(pattern).lstrip("/")
        if cleaned == ".":
            continue  # the context itself can't be left out
        try:
            rules.append(_Rule(translate(cleaned), negated, _WILDCARDS.split(cleaned)[0]))
        except ValueError as error:
            problems.append(Problem(file, str(error), "close the set, or write \\[", line=number))
    if problems:
        raise InputError(f"{file} is not valid", problems=problems)
    return Ignore(tuple(rules))
