"""Paused containers: nothing of them runs, all of it goes on, and whatever ends a container ends one that is paused."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from jupyter_containers.errors import ContainerError
from jupyter_containers.runtime import freezing, pausing
from jupyter_containers.runtime.removal import find_group

COUNT = """\
trap 'echo heard >> /home/jovyan/log' INT
(while :; do :; done) &
while :; do n=$((n+1)); echo $n > /home/jovyan/n; done
"""


@pytest.fixture(params=["freezer", "signals"])
def way(request, monkeypatch) -> str:
    """By the control group's freezer, where this host has one, and by signals."""
    if request.param == "signals":
        monkeypatch.setattr(freezing, "has_freezer", lambda group: False)
        monkeypatch.setattr(pausing, "has_freezer", lambda group: False)
    return request.param


@pytest.fixture
def counting(house, way):
    container = house.start(COUNT)
    house.eventually((container._folder.upper / "home/jovyan/n").exists)
    yield container
    container.remove(force=True)


def ticks(container) -> float:
    """The CPU time that its processes have used."""
    return container.stats().cpu_seconds


def moves(container) -> bool:
    before = ticks(container)
    time.sleep(0.3)
    return ticks(container) > before


def test_it_stands_still_and_goes_on(house, counting):
    assert moves(counting)
    counting.pause()
    counting.pause()
    assert counting.state().status == "paused"
    assert not moves(counting)
    assert [state.status for state in house.runtime.list() if state.id == counting.id] == ["paused"]
    assert counting.poll() is None
    with pytest.raises(ContainerError, match="is paused"):
        counting.exec_argv(["true"])
    assert counting.resume()
    assert not counting.resume()
    assert counting.state().status == "running"
    assert moves(counting)


def test_another_process_lets_it_go_on(house, counting):
    counting.pause()
    assert house.runtime.find(counting.id).resume()
    assert moves(counting)


def test_a_signal_is_heard(house, counting):
    counting.pause()
    counting.signal(signal.SIGINT)
    house.eventually((counting._folder.upper / "home/jovyan/log").exists)
    assert counting.state().status == "running"


@pytest.mark.parametrize("end", ["kill", "stop", "remove"])
def test_it_can_be_ended(house, counting, end):
    group = find_group(counting._folder.path)
    counting.pause()
    if end == "kill":
        counting.kill()
    elif end == "stop":
        counting.stop(grace=0.2)
    else:
        counting.remove(force=True)
    assert counting.poll() == (143 if end == "stop" else 137)
    house.eventually(lambda: group is None or not any(folder.exists() for folder in group.folders.values()))


def test_what_looks_at_its_files_leaves_it_paused(house, counting, tmp_path: Path):
    counting.pause()
    assert counting.copy_changes(tmp_path).entries
    assert not moves(counting)
    assert counting.state().status == "paused"


def test_a_disk_limit_ends_one_that_is_paused(house, way):
    container = house.start("sleep 1000", disk=1 << 20)
    container.pause()
    (container._folder.upper / "large").write_bytes(b"x" * (2 << 20))
    assert container.wait(20) == 137
    assert "disk" in container.cause
    container.remove()


def test_it_starts_again_and_is_not_paused(house, counting):
    counting.pause()
    counting.kill()
    counting.start()
    assert counting.state().status == "running"
    assert moves(counting)


def test_a_detached_one(house):
    container = house.start("sleep 1000", die_with_parent=False)
    container.pause()
    assert house.runtime.find(container.id).state().status == "paused"
    container.stop(grace=0.2)
    assert container.state().status == "exited"
    container.remove()
