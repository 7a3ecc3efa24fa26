from __future__ import annotations

import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.runtime import logs
from jupyter_containers.runtime.log import Log
from jupyter_containers.runtime.logs import follow_log, read_log


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "log"
    assert read_log(file) == b""
    log = Log(str(file))
    log.write(b"one\ntwo\n")
    log.write(b"three")
    assert read_log(file) == b"one\ntwo\nthree"
    assert read_log(file, tail=2) == b"two\nthree"
    assert read_log(file, tail=0) == b""


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_it_is_bounded_and_keeps_the_end(tmp_path_factory, parts: list[bytes]) -> None:
    file = tmp_path_factory.mktemp("log") / "log"
    log = Log(str(file), limit=100)
    for part in parts:
        log.write(part)
    written = b"".join(parts)
    kept = read_log(file)
    assert written.endswith(kept)
    assert len(kept) == len(written) if len(written) <= 100 else 60 <= len(kept) <= 200


def test_a_log_goes_on_where_it_was(tmp_path: Path) -> None:
    for text in (b"first\n", b"second\n"):
        log = Log(str(tmp_path / "log"))
        log.write(text)
    assert read_log(tmp_path / "log") == b"first\nsecond\n"


def test_following_reads_on_over_a_rotation(tmp_path: Path) -> None:
    file = tmp_path / "log"
    log = Log(str(file), limit=64)
    over = threading.Event()
    found: list[bytes] = []
    log.write(b"begin\n")
    reader = threading.Thread(target=lambda: found.extend(follow_log(file, ended=over.is_set, interval=0.001)))
    reader.start()
    written = b"begin\n"
    for number in range(40):
        line = b"line %d\n" % number
        log.write(line)
        written += line
        while sum(map(len, found)) < len(written):
            pass
    over.set()
    reader.join(10)
    assert b"".join(found) == written


def test_following_a_log_that_appears_late(tmp_path: Path) -> None:
    answers = iter([False, False, True])

    def ended() -> bool:
        answer = next(answers)
        (tmp_path / "log").write_bytes(b"late\n")
        return answer

    assert b"".join(follow_log(tmp_path / "log", ended=ended, interval=0)) == b"late\n"


def test_what_is_written_while_following_begins_is_not_lost(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "log"
    log = Log(str(file))
    log.write(b"before\n")

    def read_late(*args: object, **options: object) -> bytes:
        found = read_log(*args, **options)  # type: ignore[arg-type]
        log.write(b"meanwhile\n")
        return found

    monkeypatch.setattr(logs, "read_log", read_late)
    assert b"".join(follow_log(file, ended=lambda: True)) == b"before\nmeanwhile\n"
