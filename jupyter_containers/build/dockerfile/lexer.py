"""From text to statements: directives, comments, continued lines, heredocs, flags (BuildKit, ``parser/parser.go``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...errors import Problem
from .model import Heredoc

__all__ = ["Directives", "Statement", "read_directives", "read_statements"]

_DIRECTIVE = re.compile(r"#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(.+?)[ \t]*")
_KNOWN = ("syntax", "escape", "check")
_HEREDOC = re.compile(r"(\d*)<<(-?)([^<]+)")
_WITH_HEREDOCS = frozenset({"RUN", "COPY", "ADD"})
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Directives:
    """The comments at the very beginning that mean something."""

    escape: str = "\\"
    syntax: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """One instruction's words."""

    line: int
    keyword: str
    """Upper-case."""
    flags: tuple[str, ...]
    """As written, unquoted: ``--from=build``."""
    rest: str
    heredocs: tuple[Heredoc, ...] = ()
    text: str = ""
    """All of it in one line, for people."""
    body: str = ""
    """All of it, with heredocs, without continuations: it reads the same again."""


@dataclass(slots=True)
class _Lines:
    lines: list[str]
    at: int = 0
    problems: list[Problem] = field(default_factory=list)

    def next(self) -> str | None:
        if self.at == len(self.lines):
            return None
        self.at += 1
        return self.lines[self.at - 1]


def read_directives(text: str, file: str, problems: list[Problem]) -> Directives:
    """``# escape=`` and its like, which stand before anything else; wrong ones are added to *problems*."""
    found: dict[str, str] = {}
    for number, line in enumerate(_split(text), 1):
        match = _DIRECTIVE.fullmatch(line)
        key = match[1].lower() if match else ""
        if match is None or key not in _KNOWN:
            break
        if key in found:
            problems.append(Problem(file, f"the directive {key} is given twice", line=number))
        if key == "escape" and match[2] not in {"\\", "`"}:
            problems.append(Problem(file, f"the escape character can't be {match[2]!r}", "write \\ or `", line=number))
            continue
        found[key] = match[2]
    return Directives(**found)


def read_statements(text: str, directives: Directives, file: str, problems: list[Problem]) -> tuple[Statement, ...]:
    """All statements of *text*; a heredoc without an end is added to *problems*."""
    if len(text) > _LONGEST:
        problems.append(Problem(file, f"it has {len(text)} characters, and at most {_LONGEST} are read"))
        return ()
    lines = _Lines(_split(text))
    result = []
    while (first := lines.next()) is not None:
        if _is_blank(first) or _is_comment(first):
            continue
        number = lines.at
        whole = _join_continued(first.lstrip(), lines, directives.escape).strip()
        if whole:
            result.append(_statement(whole, number, lines, directives.escape))
    problems += [Problem(file, problem.cause, problem.remedy, line=problem.line) for problem in lines.problems]
    return tuple(result)


def _split(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _is_blank(line: str) -> bool:
    return not line.strip()


def _join_continued(first: str, lines: _Lines, escape: str) -> str:
    """*first* with the lines it goes on in; comments and empty lines among them count for nothing."""
    ending = re.compile(rf"(?<!{re.escape(escape)}){re.escape(escape)}[ \t]*$")
    match = ending.search(first)
    whole = first
    while match is not None:
        whole = whole[: len(whole) - (len(match.string) - match.start())]
        line = lines.next()
        while line is not None and (_is_comment(line) or _is_blank(line)):
            line = lines.next()
        if line is None:
            break
        whole += line
        match = ending.search(line)
    return whole


def _statement(whole: str, number: int, lines: _Lines, escape: str) -> Statement:
    word, *following = whole.split(maxsplit=1)
    rest = following[0] if following else ""
    keyword = word.upper()
    inner = keyword
    if keyword == "ONBUILD":
        inner = rest.split(maxsplit=1)[0].upper() if rest.strip() else ""
    flags, rest = _cut_flags(rest.strip(), escape)
    heredocs = tuple(_read_heredocs(rest, number, lines, escape)) if inner in _WITH_HEREDOCS else ()
    ends = "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in heredocs)
    return Statement(
        line=number, keyword=keyword, flags=flags, rest=rest, heredocs=heredocs,
        text=re.sub(r"[ \t]+", " ", whole), body=whole + ends,
    )  # fmt: skip


def _cut_flags(rest: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The leading ``--name=value`` words, without their quotes, and what follows them."""
    flags = []
    while rest.startswith("--"):
        word, end = "", 0
        quote = ""
        while end < len(rest):
            char = rest[end]
            if char == escape and end + 1 < len(rest):
                # Of a quoted or blank-less value only the escape itself goes: the expansion needs \$ as it is.
                following = rest[end + 1]
                word += following if following in {quote, " ", escape} else char + following
                end += 2
                continue
            if quote:
                quote = "" if char == quote else quote
                word += "" if not quote else char
            elif char in "\"'":
                quote = char
            elif char in " \t":
                break
            else:
                word += char
            end += 1
        rest = rest[end:].lstrip()
        if word == "--":
            break
        flags.append(word)
    return tuple(flags), rest


def _read_heredocs(rest: str, number: int, lines: _Lines, escape: str) -> Iterator[Heredoc]:
    if rest.startswith("["):
        return  # exec form: there is no shell that would read them
    for word in shell_words(rest, escape):
        match = _HEREDOC.fullmatch(word)
        if match is None or not match[3].strip("'\""):
            continue
        name = re.sub(r"['\"]", "", match[3]).replace(escape, "")
        content: list[str] = []
        while True:
            line = lines.next()
            if line is None:
                cause = f"the heredoc {name} has no end"
                lines.problems.append(Problem("", cause, f"write {name} alone on a line below it", line=number))
                return
            if (line.lstrip("\t") if match[2] else line) == name:
                break
            content.append(line + "\n")
        yield Heredoc(name, "".join(content), expand=name == match[3], chomp=bool(match[2]))


def shell_words(text: str, escape: str) -> Iterator[str]:
    """The words of a shell line, quotes and escapes left in them."""
    word, quote, escaped = "", "", False
    for char in text:
        if escaped:
            escaped = False
        elif char == escape and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in " \t\n":
            if word:
                yield word
            word = ""
            continue
        word += char
    if word:
        yield word
