"""Patterns of file names: those of COPY (Go's ``path/filepath.Match``) and of .dockerignore, which know ``**``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...errors import InputError, Problem

__all__ = ["Ignore", "has_wildcards", "parse_ignore", "translate"]

_WILDCARDS = re.compile(r"[*?\[]")
_CHOOSY = 2


def has_wildcards(path: str) -> bool:
    return _WILDCARDS.search(path) is not None


def translate(pattern: str) -> re.Pattern[str]:
    """The regular expression for a path that *pattern* fits; ``*`` and ``?`` don't take in a slash, ``**`` does.

    Raises :class:`ValueError` for a set that has no end.

    Each ``*`` but the last takes the least that lets what follows it fit, and never another (atomic groups): less only
    leaves more for the rest, so nothing is lost, and no pattern takes longer than its length times the path's.
    """
    blocks, separators = _parse(pattern)
    # "a**/b" wants the end of a name or a slash behind the a: there the least is not always the best.
    choosy = [
        separator == "**/" and bool(block) and block[-1] != "/"
        for block, separator in zip(blocks, separators, strict=False)
    ] + [True]
    if sum(choosy) > _CHOOSY + 1:
        raise ValueError(f"{pattern[:200]!r}: more than {_CHOOSY} `**/` within names")
    result = _render(blocks[0], fixed=choosy[0])
    for block, separator, fixed in zip(blocks[1:], separators, choosy[1:], strict=True):
        if fixed:
            result += ("(?:.*/)?" if separator == "**/" else ".*") + _render(block, fixed=True)
        else:
            result += "(?>" + ("(?:.*?/)??" if separator == "**/" else ".*?") + _render(block, fixed=False) + ")"
    try:
        return re.compile(result, re.DOTALL)
    except re.error as error:
        raise ValueError(f"{pattern!r}: {error}") from error


def _parse(pattern: str) -> tuple[list[list[str]], list[str]]:
    """The parts between ``**`` (or ``**/``), each a list of regular expressions for one character, and ``*``."""
    blocks: list[list[str]] = [[]]
    separators: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            separator = "**/" if pattern.startswith("/", at + 2) else "**"
            at += len(separator)
            if separators and not blocks[-1]:  # two of them are one
                separators[-1] = min(separators[-1], separator, key=len)
                continue
            separators.append(separator)
            blocks.append([])
            continue
        at += 1
        if char == "*":
            blocks[-1].append("*")
        elif char == "?":
            blocks[-1].append("[^/]")
        elif char == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise ValueError(f"{pattern!r}: [ has no ]")
            inside = pattern[at:end]
            negated = inside.startswith("^")
            escaped = re.sub(r"([\[\]&~|\\^])", r"\\\1", inside[negated:])
            blocks[-1].append("[" + ("^/" if negated else "") + escaped + "]")
            at = end + 1
        elif char == "\\" and at < len(pattern):
            blocks[-1].append(re.escape(pattern[at]))
            at += 1
        else:
            blocks[-1].append(re.escape(char))
    return blocks, separators


def _render(tokens: list[str], *, fixed: bool) -> str:
    """The regular expression of a part. *fixed*: not everything may follow it, so its last star has a choice."""
    head, *segments = _split(tokens, "*")
    result = "".join(head)
    for number, segment in enumerate(segments):
        # Up to the next slash: a star can't go beyond, so that is where its choice ends.
        end = segment.index("/") + 1 if "/" in segment else len(segment)
        fits = "[^/]*?" + "".join(segment[:end])
        chooses = fixed and number == len(segments) - 1 and "/" not in segment
        result += (fits if chooses else f"(?>{fits})") + "".join(segment[end:])
    return result


def _split(tokens: list[str], mark: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == mark:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


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
