"""msgspec's messages in a user's words: the messages are its own, so that a new version of it is noticed."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest

from jupyter_containers.carried import Carried, read_carried
from jupyter_containers.errors import InputError
from jupyter_containers.misfits import find_misfit


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    number: Annotated[int, msgspec.Meta(ge=1)] = 1
    share: Annotated[float, msgspec.Meta(gt=0)] = 1
    digest: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")] = ""
    word: Annotated[str, msgspec.Meta(pattern=r"^\w+$")] = ""
    either: int | str | None = None
    few: Annotated[tuple[str, ...], msgspec.Meta(max_length=2)] = ()
    short: Annotated[str, msgspec.Meta(max_length=2)] = ""
    one: Literal["a", "b"] = "a"


class Outer(msgspec.Struct):
    inner: Inner
    each: dict[str, int] = {}


@pytest.mark.parametrize(
    ("document", "key", "cause"),
    [
        ([], "", "has to be a table of keys and values, and is a list"),
        ({}, "", "`inner` is missing"),
        ({"inner": {"unknown": 1}}, "inner", "has an unknown field `unknown`"),
        ({"inner": {"number": "x"}}, "inner.number", "has to be a whole number, and is a text"),
        ({"inner": {"number": 0}}, "inner.number", "has to be at least 1"),
        ({"inner": {"share": 0}}, "inner.share", "has to be more than 0"),
        ({"inner": {"digest": "x"}}, "inner.digest", "has to be `sha256:` and 64 hexadecimal digits"),
        ({"inner": {"word": "!"}}, "inner.word", "is not written as it has to be"),
        ({"inner": {"either": []}}, "inner.either", "has to be a whole number or a text, and is a list"),
        ({"inner": {"few": ["a", "b", "c"]}}, "inner.few", "has to have at most 2 items"),
        ({"inner": {"few": [1]}}, "inner.few[0]", "has to be a text, and is a whole number"),
        ({"inner": {"short": "abc"}}, "inner.short", "has to have at most 2 characters"),
        ({"inner": {"one": "c"}}, "inner.one", "'c' is none of the values that are known"),
        ({"inner": {}, "each": {"k": None}}, "each", "has to be a whole number, and is nothing"),
    ],
)
def test_what_does_not_fit(document, key, cause):
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(document, Outer)
    assert find_misfit(error.value) == (cause, key)


@pytest.mark.parametrize(
    ("text", "cause"),
    [(b'{"inner"', "is cut off before the end of its JSON"), (b"{x}", "is not JSON: object keys must be")],
)
def test_what_is_no_json(text, cause):
    with pytest.raises(msgspec.DecodeError) as error:
        msgspec.json.decode(text, type=Outer)
    assert find_misfit(error.value).cause.startswith(cause)


def test_what_is_no_form_of_msgspec_s_stays_as_it_is():
    assert find_misfit(ValueError("version 7 is not known")) == ("version 7 is not known", "")


def test_a_notebook_that_carries_a_bad_digest():
    carried = Carried(version=1, name="thesis", spec="", lock="", digest="sha256:" + "0" * 64)
    with pytest.raises(InputError) as error:
        read_carried(msgspec.to_builtins(carried) | {"digest": "sha256:0"})
    (problem,) = error.value.problems
    assert (problem.key, problem.cause) == ("digest", "has to be `sha256:` and 64 hexadecimal digits")
    assert "Containerise" in problem.remedy
