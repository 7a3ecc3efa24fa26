"""Words on the terminal."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.cli.output import age, print_error, print_json, print_table, printable
from jupyter_containers.errors import Problem, SpecError


@given(st.text())
def test_printable_text_cannot_drive_a_terminal(text):
    assert all(char == "\t" or char.isprintable() for char in printable(text))


def test_a_table_is_aligned_and_harmless(capsys):
    print_table(("NAME", "STATE"), [("a", "ready"), ("long-name", "\x1b[2J")])
    assert capsys.readouterr().out == "NAME       STATE\na          ready\nlong-name  \\x1b[2J\n"


def test_an_error_shows_every_problem_and_the_hint(capsys):
    problems = [Problem("a.toml", "bad", "Do this", key="x.y", line=3), Problem("a.toml", "worse")]
    print_error(SpecError("a.toml is not a valid spec", problems=problems, hint="read the reference"))
    assert capsys.readouterr().err == (
        "error: a.toml is not a valid spec\n  a.toml:3: x.y: bad. Do this\n  a.toml: worse\nhint: read the reference\n"
    )


def test_json_of_structs(capsys):
    class Point(msgspec.Struct):
        x: int

    print_json([Point(1)])
    assert json.loads(capsys.readouterr().out) == [{"x": 1}]


def test_ages():
    assert [age(value) for value in (-1, 5, 61, 7300, 90000)] == ["0s", "5s", "1m", "2h", "1d"]


def test_a_full_disk_and_a_closed_stream_give_no_traceback():
    full = subprocess.run(f"{sys.executable} -m jupyter_containers schema > /dev/full", shell=True, capture_output=True)
    assert full.returncode == 1
    assert full.stderr.startswith(b"error: cannot write: No space left on device\n")
    assert b"Traceback" not in full.stderr
    closed = subprocess.run(f"{sys.executable} -m jupyter_containers schema >&-", shell=True, capture_output=True)
    assert (closed.returncode, closed.stderr) == (0, b"")
