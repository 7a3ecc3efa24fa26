"""Patterns of COPY and .dockerignore."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.dockerfile.patterns import parse_ignore, translate
from jupyter_containers.errors import InputError


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*", "a", True), ("*", "a/b", False), ("a*", "abc", True), ("a?c", "abc", True), ("a?c", "a/c", False),
        ("[ab]c", "ac", True), ("[^ab]c", "ac", False), ("[^ab]c", "xc", True), ("[a-c]x", "bx", True),
        ("a\\*", "a*", True), ("a\\*", "ab", False), ("a.c", "abc", False), ("**/x", "x", True),
        ("**/x", "a/b/x", True), ("a/**", "a/b/c", True), ("a/**/x", "a/x", True), ("a/**/x", "a/b/c/x", True),
        ("a(b", "a(b", True), ("[]", "", None), ("[a", "a", None),
    ],
)  # fmt: skip
def test_translate(pattern: str, path: str, fits: bool | None):
    if fits is None:
        with pytest.raises(ValueError, match=r"\["):
            translate(pattern)
        return
    assert (translate(pattern).fullmatch(path) is not None) is fits


@pytest.mark.parametrize(
    ("rules", "excluded", "kept"),
    [
        ("*.log", ["a.log"], ["d/a.log", "a.logs"]),
        ("**/*.log", ["a.log", "d/e/a.log"], ["a.txt"]),
        ("docs", ["docs", "docs/a", "docs/a/b"], ["doc", "docs2", "x/docs"]),
        ("/docs/", ["docs/a"], ["x/docs"]),
        ("*\n!keep", ["a", "b/c"], ["keep", "keep/inside"]),
        ("docs\n!docs/*.md\ndocs/bad.md", ["docs/a", "docs/bad.md", "docs/x/a.md"], ["docs/good.md"]),
        ("!a\na", ["a"], []),
        ("# comment\n\n  b  \n./c", ["b", "c"], ["# comment"]),
        (".", [], ["a"]),
        ("a/../b", ["b"], ["a"]),
    ],
)
def test_ignore(rules: str, excluded: list[str], kept: list[str]):
    ignore = parse_ignore(rules, ".dockerignore")
    assert [path for path in excluded if not ignore.excludes(path)] == []
    assert [path for path in kept if ignore.excludes(path)] == []


def test_folders_that_can_hold_nothing_are_not_looked_into():
    ignore = parse_ignore("*\n!src/**/*.py\n!top", "")
    assert ignore.may_hold_exceptions("src") and ignore.may_hold_exceptions("src/a")
    assert not ignore.may_hold_exceptions("node_modules")


def test_lines_that_are_no_patterns_are_told():
    with pytest.raises(InputError) as caught:
        parse_ignore("[a\nfine\n!\n", ".dockerignore")
    assert [problem.line for problem in caught.value.problems] == [1, 3]


@given(st.text(alphabet="ab*?.", max_size=8), st.text(alphabet="ab.", max_size=8))
def test_simple_patterns_are_those_of_the_shell(pattern: str, path: str):
    if "**" in pattern:
        return
    assert (translate(pattern).fullmatch(path) is not None) == fnmatch.fnmatchcase(path, pattern)


def naive(pattern: str) -> re.Pattern[str]:
    """What a pattern means, tried in all ways."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    found = re.findall(r"\*\*/|\*\*|.", pattern)
    return re.compile("".join(parts.get(part, re.escape(part)) for part in found), re.DOTALL)


@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "/**/", "?"]), max_size=9).map("".join),
    st.text("ab/", max_size=10),
)
def test_patterns_fit_what_they_mean(pattern: str, path: str):
    try:
        regex = translate(pattern)
    except ValueError as error:
        assert "within names" in str(error)
        return
    assert (regex.fullmatch(path) is None) == (naive(pattern).fullmatch(path) is None)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 60 + "b", "a" * 255), ("**/a/" * 60 + "b", "a/" * 1500 + "c"), ("**a" * 60 + "b", "a" * 4000),
        ("*a*/" * 30 + "b", "aaaaaaaa/" * 30 + "c"), ("**/*a*/" * 20 + "b", "aaaaaaaa/" * 300 + "c"),
    ],
)  # fmt: skip
def test_patterns_with_many_stars_take_no_time(pattern: str, path: str):
    """Each would take the path's length to the power of its stars if stars were tried in all ways."""
    assert translate(pattern).fullmatch(path) is None
