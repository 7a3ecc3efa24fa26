"""What is kept of builds, and what others see of one at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import msgspec
import pytest

from jupyter_containers.build import history
from jupyter_containers.build.monitor import Event, silent
from jupyter_containers.errors import BuildError, CancelledError, NotFoundError
from jupyter_containers.paths import Paths


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path / "home", tmp_path / "run").made()


def recorder(paths, build_id="", monitor=silent):
    build_id = build_id or history.new_build_id()
    return history.Recorder(paths, build_id=build_id, name="x", spec_file="/x", monitor=monitor)


def test_ids_sort_by_time_and_are_plain():
    first, second = history.new_build_id(), history.new_build_id()
    assert first[:19] <= second[:19]
    assert first != second
    assert first.replace("-", "").isalnum()


def test_a_build_is_written_down_and_passed_on(paths):
    heard = []
    with recorder(paths, monitor=heard.append) as build:
        build(Event(kind="phase", phase="installing"))
        build(Event(kind="progress", phase="installing", done=1, total=4))
        build(Event(kind="step", phase="done", step="base"))  # the build is not
        running = history.find_build(paths, build.id)
        build(Event(kind="output", text="a line"))
        build.finish("sha256:1")
    assert (running.state, running.phase, running.percent, running.pid) == ("running", "installing", 25, os.getpid())
    ended = history.find_build(paths, build.id)
    assert (ended.state, ended.image, ended.error) == ("done", "sha256:1", "")
    assert list(history.read_events(paths, build.id)) == heard
    assert heard[-1].kind == "result"
    assert history.read_log(paths, build.id) == "[installing]\n[done] base\na line\n[done] sha256:1\n"


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (BuildError("step failed", hint="do it"), "failed", "step failed"),
        (CancelledError("stopped"), "cancelled", "stopped"),
        (KeyboardInterrupt(), "cancelled", "the build was cancelled"),
        (BrokenPipeError(), "cancelled", "whoever read the build's output has gone"),
        (ZeroDivisionError("oops"), "failed", "ZeroDivisionError: oops"),
    ],
)
def test_how_a_build_ended_is_kept(paths, error, state, message):
    with pytest.raises(type(error)), recorder(paths) as build:
        raise error
    ended = history.find_build(paths, build.id)
    assert (ended.state, ended.error) == (state, message)
    assert list(history.read_events(paths, build.id))[-1].error == message


def test_a_build_whose_process_was_killed_is_interrupted(paths):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom jupyter_containers.paths import Paths\n"
        "from jupyter_containers.build import history\nfrom jupyter_containers.build.monitor import silent\n"
        f"paths = Paths(Path({str(paths.home)!r}), Path({str(paths.runtime)!r}))\n"
        "with history.Recorder(paths, build_id='20260101-000000-000-abcd', name='x', spec_file='/x', monitor=silent):\n"
        "    print('ready', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert history.find_build(paths, "20260101").state == "running"
        process.send_signal(signal.SIGKILL)
    build = history.find_build(paths, "20260101")
    assert build.state == "interrupted"
    assert list(history.follow(paths, build.id)) == []


def test_following_gives_what_was_and_what_comes_until_the_result(paths):
    got = []
    with recorder(paths) as build:
        build(Event(kind="output", text="before"))
        follower = threading.Thread(target=lambda: got.extend(history.follow(paths, build.id, interval=0.01)))
        follower.start()
        build(Event(kind="output", text="after"))
        build.finish("sha256:1")
    follower.join(10)
    assert [event.text or event.image for event in got] == ["before", "after", "sha256:1"]


def test_following_can_be_stopped(paths):
    stop = threading.Event()
    with recorder(paths) as build:
        follower = threading.Thread(target=lambda: list(history.follow(paths, build.id, stop=stop, interval=0.01)))
        follower.start()
        stop.set()
        follower.join(10)
        assert not follower.is_alive()
        build.finish("sha256:1")


@pytest.mark.parametrize("name", ["../../etc", "nothing", "", "a/b"])
def test_an_unknown_id_is_told(paths, name):
    with pytest.raises(NotFoundError):
        history.find_build(paths, name)


def test_builds_are_listed_newest_first_and_old_ones_forgotten(paths, monkeypatch):
    monkeypatch.setattr(history, "KEPT", 3)
    for number in range(6):
        with recorder(paths, f"2026010{number}-000000-000-aaaa") as build:
            build.finish("")
    names = [record.id[:8] for record in history.list_builds(paths)]
    assert names == ["20260105", "20260104", "20260103", "20260102"]


def test_a_half_written_line_is_not_read(paths):
    with recorder(paths) as build:
        build.finish("sha256:1")
    with build.log.open("ab") as log:
        log.write(msgspec.json.encode(Event(kind="output", text="half"))[:-4])
    assert [event.kind for event in history.read_events(paths, build.id)] == ["result"]


def test_ids_sort_as_they_were_made():
    made = [history.new_build_id() for _ in range(200)]
    assert made == sorted(made)
