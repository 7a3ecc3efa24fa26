"""Expansion of variables; the expected values are BuildKit's (``shell/envVarTest``)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.dockerfile.words import ExpansionError, expand

ENV = {"PWD": "/home", "SHELL": "bash", "NULL": "", "x": "dir/name.tar.gz", "UNI": "한"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hello", "hello"), ("he'll'o", "hello"), ("he'llo' x", "hello x"), ("he\\'llo", "he'llo"),
        ('he"ll"o', "hello"), ('he"l\\"lo"', 'hel"lo'), ('"he\\lo"', "he\\lo"), ("'he\\lo'", "he\\lo"),
        ("he$PWD", "he/home"), ("he${PWD}", "he/home"), ("'he$PWD'", "he$PWD"), ('"he$PWD"', "he/home"),
        ("he\\$PWD", "he$PWD"), ("he$.", "he$."), ("$", "$"), ("he$1x", "hex"), ("he$undefined", "he"),
        ("${PWD:-w}", "/home"), ("${NULL:-w}", "w"), ("${NULL-w}", ""), ("${undef:-w}", "w"), ("${undef-w}", "w"),
        ("${PWD:+w}", "w"), ("${NULL:+w}", ""), ("${NULL+w}", "w"), ("${undef:+w}", ""), ("${undef+w}", ""),
        ("${undef:-$PWD}", "/home"), ("${undef:-${SHELL}}", "bash"), ("${undef:-'a}b'}", "a}b"),
        ('${undef:-"$PWD x"}', "/home x"), ("${undef:-a\\}b}", "a}b"), ("${PWD:?w}", "/home"),
        ("${x#*/}", "name.tar.gz"), ("${x##*.}", "gz"), ("${x%.*}", "dir/name.tar"), ("${x%%.*}", "dir/name"),
        ("${x#nothing}", "dir/name.tar.gz"), ("${x%?}", "dir/name.tar.g"), ("${x/a/A}", "dir/nAme.tar.gz"),
        ("${x//a/A}", "dir/nAme.tAr.gz"), ("${x/a}", "dir/nme.tar.gz"), ("${x//./}", "dir/nametargz"),
        ("$UNI,x", "한,x"), ("a\\ b", "a b"), ("\\\\", "\\"), ("", ""), ('""', ""), ("''x", "x"),
    ],
)  # fmt: skip
def test_expand(word: str, expected: str):
    assert expand(word, ENV) == expected


@pytest.mark.parametrize(
    "word", ["'open", '"open', "${open", "${}", "${PWD:", "${PWD!x}", "${undef:?told}", "${a:-${b}"]
)
def test_what_can_not_be_expanded_is_told(word: str):
    with pytest.raises(ExpansionError) as caught:
        expand(word, ENV)
    if "told" in word:
        assert str(caught.value) == "undef: told"


def test_variables_that_double_each_time_end():
    """A billion laughs: thirty lines that each hold the one before twice."""
    variables = {"A": "ha" * 1000}
    with pytest.raises(ExpansionError, match="more than 131072 characters"):
        for _ in range(30):
            variables["A"] = expand("$A${A}", variables)
    assert len(variables["A"]) <= 131072
    big = {"A": "x" * 16_000, "B": "y" * 1000}
    with pytest.raises(ExpansionError, match="longer than"):
        expand("${A//x/$B}", big)
    with pytest.raises(ExpansionError, match="not searched"):
        expand("${A/x/y}", {"A": "x" * 20_000})


@pytest.mark.parametrize("word", ["${A##*a*a*a*a*a*a*a*a*b}", "${A%%b*a*a*a*a*a*a*a*a*}", "${A//a*a*a*a*a*a*a*b/x}"])
def test_patterns_with_many_stars_take_no_time(word: str):
    """Each would take the length to the power of its stars if stars were tried in all ways."""
    value = "a" * 4000
    assert expand(word, {"A": value}) == value


@given(st.text("ab*?", max_size=6), st.text("ab", max_size=8), st.sampled_from(["#", "##", "%", "%%"]))
def test_beginnings_and_endings_are_the_shortest_and_the_longest(pattern: str, value: str, operator: str):
    regex = re.compile("".join({"*": ".*", "?": "."}.get(char, char) for char in pattern))
    sizes = range(len(value) + 1) if len(operator) == 1 else range(len(value), -1, -1)
    if operator[0] == "#":
        expected = next((value[size:] for size in sizes if regex.fullmatch(value[:size])), value)
    else:
        expected = next(
            (value[: len(value) - size] for size in sizes if regex.fullmatch(value[len(value) - size :])), value
        )
    assert expand(f"${{x{operator}{pattern}}}", {"x": value}) == expected


def test_another_escape_character():
    assert expand("C:\\dir`$x`` `$PWD", {"x": "1"}, "`") == "C:\\dir$x` $PWD"


def test_a_heredoc_keeps_quotes():
    assert expand("a 'b' \"$x\" \\n \\$x \\\\ $\n", {"x": "1"}, quotes=False) == "a 'b' \"1\" \\n $x \\ $\n"


def test_values_are_not_expanded_again():
    assert expand("$a ${a:-x}", {"a": "$b 'q'", "b": "no"}) == "$b 'q' $b 'q'"


@given(st.text(max_size=40), st.dictionaries(st.sampled_from(["a", "b", "PWD"]), st.text(max_size=10)))
def test_any_text_is_expanded_or_refused(word: str, variables: dict[str, str]):
    try:
        result = expand(word, variables)
    except ExpansionError:
        return
    if not set(word) & set("'\"\\$"):
        assert result == word


@given(st.text(max_size=30))
def test_a_quoted_value_is_taken_as_it_is(value: str):
    assert expand('"$v"', {"v": value}) == value == expand("${v}", {"v": value})
