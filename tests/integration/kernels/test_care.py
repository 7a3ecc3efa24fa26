"""Kernels of both kinds: limited in open files and time, paused, and told of."""

from __future__ import annotations

import signal

import pytest

from jupyter_containers.runtime import freezing, pausing

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_open_files_and_time(start):
    session = start(files=300, time="1h")
    assert session.run("import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))") == "(300, 300)"
    more = "held = []\ntry:\n    while 1: held.append(open('/dev/null'))\nexcept OSError as e: print(e.strerror)"
    assert session.run(more) == "Too many open files"
    assert {row.limit: row.asked for row in session.container.state().limits if row.limit in ("files", "time")} == {
        "files": 300,
        "time": 3600,
    }
    session.run("held.clear()")
    assert session.run("1 + 1") == "2"


def test_its_time_is_over(start):
    session = start(time="3s")
    container = session.container
    assert container.wait(60) == 128 + signal.SIGKILL
    assert container.state().cause == "out of time (limit 3s)"


@pytest.mark.parametrize("way", ["freezer", "signals"])
def test_paused_and_interrupted(start, way, monkeypatch):
    if way == "signals":
        monkeypatch.setattr(freezing, "has_freezer", lambda group: False)
        monkeypatch.setattr(pausing, "has_freezer", lambda group: False)
    session = start()
    session.run("kept = 1")
    code = "print('begun', flush=True)\nimport time; time.sleep(1000)"
    for _ in range(5):  # an interrupt that comes too early is lost half the time
        request = session.client.execute(code, stop_on_error=False)  # or what is asked next may be aborted with it
        while session.client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
            pass
        session.container.pause()
        assert session.container.state().status == "paused"
        session.manager.interrupt_kernel()
        assert session.container.state().status == "running"
        while (reply := session.client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
            pass
        assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert session.run("kept") == "1"


def test_limits_changed(start):
    from jupyter_containers.errors import LimitError

    session = start(accept_unenforced=["pids"], pids=200)
    try:
        session.container.update({"pids": 150.0})
    except LimitError as error:
        assert "while it runs" in error.message
    else:
        assert {row.limit: row.asked for row in session.container.state().limits} == {"pids": 150}
