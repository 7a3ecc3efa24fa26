"""TOML of strangers: as the standard library reads it, but in bounded time."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.spec.toml import read_toml


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 100_000) + " = 1", "[" + ".".join("a" * 100_000) + "]", '"a" . ' * 100_000 + "a = 1",
        "x = {" + ".".join("a" * 100_000) + " = 1}", "x = " + "[" * 100_000, "x = " + "{a=" * 50_000,
    ],
)  # fmt: skip
def test_what_takes_too_long_is_told(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError, match=r"parts|nested too deeply|Invalid"):
        read_toml(text)


@pytest.mark.parametrize(
    "text",
    [
        "# " + "." * 500 + "\nx = 1", 'x = "' + "a.b.c." * 10 + '"', "x = [" + "1.5, " * 5000 + "]",
        'x = "' + "https://a.example/b.c " * 500 + '"',
    ],
)  # fmt: skip
def test_dots_elsewhere_are_dots(text: str) -> None:
    assert read_toml(text) == tomllib.loads(text)


@given(st.text(alphabet='ab.="[]{}\n #1', max_size=60))
def test_it_reads_as_the_standard_library(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(tomllib.TOMLDecodeError):
            read_toml(text)
    else:
        assert read_toml(text) == expected
