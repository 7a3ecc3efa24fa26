"""Expansion of variables; the expected values are BuildKit's (``shell/envVarTest``)."""

from __future__ import annotations

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
