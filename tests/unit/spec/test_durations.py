"""Durations, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.spec.durations import LONGEST, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5 h", 5400), ("2D", 172800), ("600", 600), (" 1h ", 3600)]
)
def test_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1w", "1h30m", "1e3", "11y", "4000d", "9" * 13])
def test_refused(text):
    with pytest.raises(ValueError, match=r"duration|ten years"):
        parse_duration(text)


@given(st.integers(0, LONGEST))
def test_written_and_read(seconds):
    assert parse_duration(format_duration(seconds)) == seconds
