"""Output becomes lines, failures become errors with a next step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.report import Reporter, explain
from jupyter_containers.errors import BuildError, OutOfSpaceError


def collect(chunks):
    heard = []
    reporter = Reporter(heard.append, title="run: x")
    for chunk in chunks:
        reporter.output(chunk)
    reporter.flush()
    return [event.text for event in heard], reporter


def test_lines_come_whole_however_they_were_written():
    lines, _ = collect([b"one\ntw", b"o\r\n", b"50%\r100%\r", b"last"])
    assert lines == ["one", "two", "50%", "100%", "last"]


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_no_bytes_are_too_odd(chunks):
    lines, _ = collect(chunks)
    assert all(isinstance(line, str) and "\n" not in line for line in lines)


def test_an_endless_line_does_not_fill_the_memory():
    lines, _ = collect([b"x" * 10_000])
    assert [len(line) for line in lines] == [2000] * 5


def test_a_failure_names_command_status_last_lines_and_log():
    heard = []
    reporter = Reporter(heard.append, title="run: make", log="/log/events.jsonl")
    for number in range(100):
        reporter.output(f"line {number}\n".encode())
    error = reporter.failure("make", 2)
    assert isinstance(error, BuildError)
    text = str(error)
    assert "`make` failed with exit status 2" in text
    assert "line 99" in text
    assert "line 9\n" not in text
    assert "/log/events.jsonl" in text
    assert error.step == "run: make"


def test_a_full_disk_is_told_as_such():
    reporter = Reporter(lambda event: None, title="apt")
    reporter.output(b"dpkg: error: failed to write: No space left on device\n")
    assert isinstance(reporter.failure("apt-get", 100), OutOfSpaceError)


@pytest.mark.parametrize(
    ("output", "code", "hint"),
    [
        ("error: command 'gcc' failed: No such file or directory", 1, "build-essential"),
        ("sh: 1: gcc: not found", 127, "build-essential"),
        ("error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'", 2, "build-essential"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'", 1, ""),
        ("x.c:1: fatal error: Python.h: No such file or directory", 1, "python3-dev"),
        ("x.c:1: fatal error: zlib.h: No such file", 1, "-dev"),
        ("git: command not found", 127, "git"),
        ("curl: (6) Could not resolve host: example.org", 6, "network"),
        ("E: Failed to fetch http://x 404  Not Found", 100, "lock --upgrade"),
        ("sh: 1: frobnicate: not found", 127, "packages.apt"),
        ("", 137, "memory"),
        ("everything else", 1, ""),
    ],
)
def test_common_causes_have_a_next_step(output, code, hint):
    found = explain(output, code)
    assert (hint in found) if hint else found == ""


def test_progress_is_thinned_out_but_its_end_is_told():
    heard = []
    progress = Reporter(heard.append).progress("downloading", "bytes")
    for done in range(1001):
        progress("packages", done, 1000)
    assert heard[-1].done == 1000
    assert len(heard) < 100
