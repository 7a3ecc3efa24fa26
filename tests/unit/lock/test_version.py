from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.lock.version import compare, satisfies, upstream

# Debian Policy 5.6.12: upstream versions start with a digit and hold these characters.
_UPSTREAM = st.builds(
    lambda first, rest: first + rest, st.sampled_from("0123456789"), st.text("0123456789abzAZ.+~", max_size=8)
)
_REVISION = st.text("0123456789ab.+~", min_size=1, max_size=4)
VERSIONS = st.builds(
    lambda epoch, body, revision: epoch + body + revision,
    st.sampled_from(["", "0:", "1:", "12:"]), _UPSTREAM, st.one_of(st.just(""), _REVISION.map(lambda text: f"-{text}")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("1.0~rc1", "1.0"), ("1.0", "1.0-1"), ("1.0-1", "1.0-1+b1"), ("1.9", "1.10"), ("9", "1:1"), ("1.0~~", "1.0~"),
        ("1.0a", "1.0+"), ("2.41-12", "2.41-12+deb13u1"), ("1.0-1~bpo13+1", "1.0-1"),
    ],
)  # fmt: skip
def test_order_as_policy_has_it(smaller, larger):
    assert compare(smaller, larger) == -1
    assert compare(larger, smaller) == 1


@pytest.mark.parametrize(("left", "right"), [("1.0", "0:1.0"), ("1.00", "1.0"), ("1.0-0", "1.0"), ("1.01", "1.1")])
def test_equal_though_written_differently(left, right):
    assert compare(left, right) == 0


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is the reference")
@settings(max_examples=150, deadline=None)
@given(VERSIONS, VERSIONS)
def test_order_is_dpkgs(left, right):
    expected = next(
        value
        for operator, value in (("lt", -1), ("eq", 0), ("gt", 1))
        if subprocess.run(["dpkg", "--compare-versions", left, operator, right], capture_output=True).returncode == 0
    )
    assert compare(left, right) == expected


@given(st.lists(VERSIONS, min_size=3, max_size=3))
def test_order_is_total(versions):
    a, b, c = versions
    assert compare(a, b) == -compare(b, a)
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0


def test_relations():
    assert satisfies("2.0", ">=", "2.0") and not satisfies("2.0", ">>", "2.0")
    assert satisfies("2.0~", "<<", "2.0") and satisfies("2.0", "", "anything")
    with pytest.raises(ValueError, match="relation"):
        satisfies("1", "~=", "1")


def test_upstream_part():
    assert upstream("1:3.13.5-2+deb13u5") == "3.13.5"
    assert upstream("2024a") == "2024a"
    assert upstream("1.0-rc-3") == "1.0-rc"
