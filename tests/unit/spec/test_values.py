"""Names, sizes, and the rules for single values."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from jupyter_containers.errors import ReferenceError
from jupyter_containers.spec.checks import CHECKS, Wrong, check_mount_target
from jupyter_containers.spec.names import check_name, is_name, make_name
from jupyter_containers.spec.requirement import SIMPLE, check_requirement, distribution_name, local_path
from jupyter_containers.spec.sizes import LARGEST, format_size, parse_size, write_size


@given(st.text(max_size=200))
def test_any_text_makes_a_name(text: str) -> None:
    assert is_name(make_name(text))
    assert make_name(make_name(text)) == make_name(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Thesis (v2)", "my-thesis-v2"),
        ("a__b", "a_b"),
        ("Übung 3", "ubung-3"),
        ("数学", "environment"),
        ("..", "environment"),
    ],
)
def test_names_are_near_to_the_text(text: str, name: str) -> None:
    assert make_name(text) == name


@pytest.mark.parametrize("name", ["", "A", "a b", "a--b", "-a", "a-", "a/b", "a\n", "x" * 65, "../x"])
def test_a_bad_name_is_refused_with_a_good_one(name: str) -> None:
    with pytest.raises(ReferenceError) as caught:
        check_name(name)
    assert repr(make_name(name)) in caught.value.problems[0].remedy


@given(st.integers(min_value=0, max_value=LARGEST))
def test_sizes_round_trip(size: int) -> None:
    assert parse_size(write_size(size)) == size
    assert parse_size(f"{size} B") == size
    if size < 1 << 62:
        assert abs(parse_size(format_size(size)) - size) <= size * 0.01


@pytest.mark.parametrize(
    ("text", "size"),
    [("2G", 2 << 30), ("512 MiB", 512 << 20), ("1.5 g", 3 << 29), ("1kb", 1024), ("10", 10), ("0.0000001K", 0)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "1 X", "1,5G", "1e3", "inf", "９G", "9" * 30, "9000000T", "1G\n2"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size|more than"):
        parse_size(text)


@given(st.text(max_size=30))
def test_parsing_a_size_gives_a_size_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_size(text) <= LARGEST


def test_sizes_for_people() -> None:
    assert [format_size(size) for size in (0, 1023, 1024, 1 << 20, 1300 << 20, 999 << 30, LARGEST)] == [
        *("0 B", "1023 B", "1.00 KiB", "1.00 MiB", "1.27 GiB", "999 GiB", "8192 PiB"),
    ]


@given(st.sampled_from(sorted(CHECKS)), st.text(max_size=60))
def test_rules_accept_or_say_what_is_wrong(check: str, text: str) -> None:
    if check in {"cpus", "positive", "count"}:
        return
    try:
        CHECKS[check](text)
    except Wrong as wrong:
        assert wrong.cause


@pytest.mark.parametrize(
    "text", ["/", "/proc/1", "//usr//lib", "/dev", "/etc/passwd", "/opt/venv/lib", "/home", "/var/"]
)
def test_system_paths_are_no_mount_targets(text: str) -> None:
    with pytest.raises(Wrong, match="is a system path"):
        check_mount_target(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [("/data/", "/data"), ("//srv/./x", "/srv/x"), ("/home/jovyan/d", "/home/jovyan/d"), ("/usrdata", "/usrdata")],
)
def test_mount_targets_are_normalised(text: str, path: str) -> None:
    assert check_mount_target(text) == path


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        (".", ".", None),
        ("./a/b[x] ; python_version > '3'", "a/b", None),
        ("./a.whl --hash=sha256:" + "0" * 64, "a.whl", None),
        ("My_Pkg.x[e]>=1", None, "my-pkg-x"),
        ("a @ https://example.org/a.whl", None, "a"),
    ],
)
def test_what_a_requirement_names(text: str, path: str | None, name: str | None) -> None:
    assert CHECKS["requirement"](text) == text
    assert local_path(text) == path
    assert distribution_name(text) == name


@pytest.mark.parametrize(
    "text", ["six\n--index-url x", "", "  ", "-e .", "./a/../../b", "a @ git+file:///x", "~/x", "six;x"]
)
def test_requirements_that_are_refused(text: str) -> None:
    with pytest.raises(Wrong):
        CHECKS["requirement"](text)


@given(st.from_regex(SIMPLE, fullmatch=True))
def test_what_is_accepted_without_a_parser_is_a_requirement_of_a_name_and_versions(text: str) -> None:
    assert check_requirement(text) == text.strip()
    parsed = Requirement(text)
    assert distribution_name(parsed.name) == distribution_name(text)
    assert (parsed.url, parsed.marker, parsed.extras) == (None, None, set())


@pytest.mark.parametrize("text", ["six", "numpy>=2", "numpy >=1.26, <3", "scipy~=1.11", "a==1", "A.b_c-d!=2.0"])
def test_plain_requirements_need_no_parser(text: str) -> None:
    assert re.fullmatch(SIMPLE, text)


@pytest.mark.parametrize("text", ["six~=1", "six 1.0", "six=1", "-six", "six>=", "six,>=1", "six-", "six>=1 <2"])
def test_what_is_no_requirement_is_left_to_the_parser(text: str) -> None:
    with pytest.raises(Wrong):
        check_requirement(text)
