"""Reading a log from a position on: nothing twice, nothing left out, whatever is rotated or cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import InputError
from jupyter_containers.runtime.log import Log
from jupyter_containers.runtime.logs import read_log_page


def read_all(file, position="", **options):
    said = []
    while True:
        data, position = read_log_page(file, position, **options)
        if not data:
            return said, position
        said.append(data)


def test_pages(tmp_path):
    file = tmp_path / "log"
    assert read_log_page(file, "") == (b"", "")
    log = Log(str(file), limit=10)
    log.write(b"12345")
    said, position = read_all(file)
    assert said == [b"12345"]
    log.write(b"678")
    log.write(b"abcdef")  # rotates
    assert read_all(file, position)[0] == [b"678", b"abcdef"]
    log.write(b"ghijkl")  # rotates again: what the position was in is gone
    assert b"".join(read_all(file, position)[0]) == b"abcdefghijkl"


@pytest.mark.parametrize("position", ["x", "1", "1-", "-1", "1-2", "1-2-g", "9" * 30 + "-1-0", "1-2-3\n"])
def test_other_words(tmp_path, position):
    with pytest.raises(InputError):
        read_log_page(tmp_path / "log", position)


@given(st.text(st.sampled_from("aé€😀\n"), min_size=1), st.integers(4, 9))
def test_characters_are_not_cut(tmp_path_factory, text, most):
    file = tmp_path_factory.mktemp("log") / "log"
    file.write_bytes(text.encode())
    said, _ = read_all(file, most=most)
    assert "".join(part.decode() for part in said) == text


@given(st.binary(min_size=1), st.integers(1, 9))
def test_what_is_no_utf8_comes_whole(tmp_path_factory, data, most):
    file = tmp_path_factory.mktemp("log") / "log"
    file.write_bytes(data)
    assert b"".join(read_all(file, most=most)[0]) == data
