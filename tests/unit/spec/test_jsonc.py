"""JSON with comments: what is read is what JSON would be without them, and each line is where it was."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import SpecError
from jupyter_containers.spec.jsonc import parse_jsonc

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=4)
COMMENTS = st.sampled_from(["", '// a, } ] " comment\n', "/* of\n\n several { lines */", " ", "\n"])


@given(DOCUMENTS, st.data())
def test_comments_and_last_commas_mean_nothing(document: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(document, indent=1)
    pieces = re.split(r'("(?:[^"\\]|\\.)*")', text)
    for at in range(0, len(pieces), 2):
        pieces[at] = "".join(
            (("," if sign in "}]" and data.draw(st.booleans()) and not _opens(pieces, at) else "") + sign)
            + (data.draw(COMMENTS) if sign in "{}[]:, \n" else "")
            for sign in pieces[at]
        )
    commented = "".join(pieces)
    try:
        expected = json.loads(text)
        assert parse_jsonc(commented, "f")[0] == expected
    except SpecError as error:
        # A comma after an opening bracket stands for a value that is missing, in JSON with comments as well.
        assert re.search(r"[\[{]\s*(//[^\n]*\n|/\*.*?\*/|\s)*,", commented, re.DOTALL), error


def _opens(pieces: list[str], at: int) -> bool:
    return re.search(r"[\[{]\s*[\]}]", pieces[at]) is not None


def test_every_value_has_its_line() -> None:
    text = '{ // one\n"a": 1, /* two\n three */ "b": [\n{"c": 2},\n3,\n["x",\n"y"],],\n"d": {}}'
    document, lines = parse_jsonc(text, "f")
    assert document == {"a": 1, "b": [{"c": 2}, 3, ["x", "y"]], "d": {}}
    assert lines == {
        ("a",): 2, ("b",): 3, ("b", 0): 4, ("b", 0, "c"): 4, ("b", 1): 5, ("b", 2): 6, ("b", 2, 0): 6,
        ("b", 2, 1): 7, ("d",): 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1]", "f:1: is not an object"),
        ("{\n'a': 1}", "f:2: not valid JSON"),
        ('{"a": "x\n"}', "f:1: not valid JSON"),
        ('{"a": 1, "a": 2}', "has the key 'a' twice"),
        ('{"a": ' + "[" * 50 + "]" * 50 + "}", "nested more than 20 deep"),
        ('{"a": ' + "[" * 100_000, "nested more than 20 deep"),
        ("", "f:1: not valid JSON"),
        ("/* no end", "f:1: not valid JSON"),
    ],
)
def test_what_is_not_well_formed_is_told(text: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_jsonc(text, "f")
    assert problem in str(caught.value.problems[0])


@given(st.text(alphabet='{}[]",:/*\\ \n1a', max_size=60))
def test_any_text_is_a_document_or_a_problem(text: str) -> None:
    try:
        parse_jsonc(text, "f")
    except SpecError as error:
        assert error.problems
