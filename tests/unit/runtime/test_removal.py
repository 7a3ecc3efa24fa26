from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from jupyter_containers.runtime.identity import read_scope
from jupyter_containers.runtime.removal import end_processes, settle_container

HOLD = "import sys\nfiles = [open(name, 'a') for name in sys.argv[1:]]\nprint(flush=True)\nsys.stdin.read()"


def test_what_its_owner_has_removed_leaves_nothing_to_do(tmp_path):
    """The reaper comes last, maybe after the whole home is gone, and makes no store anew."""
    settle_container(tmp_path / "home" / "containers" / "0123456789ab", "its owner was killed")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def holding():
    """``holding(file, …)``: a process that has these open."""
    started = []

    def start(*files):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, *map(str, files)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.communicate()


def test_a_keeper_that_lives_is_not_killed_with_its_container(tmp_path, holding):
    """It may be a server, and the container one of its kernels that somebody removes by the command line."""
    status = tmp_path / "status.json"
    keeper, starting = holding(status, tmp_path / "lock"), holding(status)
    (tmp_path / "state.json").write_text(json.dumps({"scope": read_scope(), "status": "running"}))
    end_processes(tmp_path)
    assert starting.wait() == -signal.SIGKILL
    assert keeper.poll() is None
