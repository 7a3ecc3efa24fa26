"""An owner that is killed while its container starts: before bwrap has armed its parent-death signal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyter_containers.runtime import removal
from jupyter_containers.sandbox.handover import mark_of

OWNER = """
import os, signal, subprocess, sys, time
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.runtime.bundled import BundledRuntime
from jupyter_containers.sandbox import launcher, process
from pathlib import Path

home, runtime, image, delay = sys.argv[1:]
paths = Paths(Path(home), Path(runtime)).made()
owner = BundledRuntime(paths, Store(paths.store))
container = owner.create(ContainerConfig(image=image, argv=("sleep", "7777"), kind="kernel", die_with_parent=True))

def killing(start):
    def wrapped(*args, **options):
        start(*args, **options)
        time.sleep(float(delay))
        os.kill(os.getpid(), signal.SIGKILL)
    return wrapped

process._popen = killing(process._popen)
# Sent, and perhaps not yet carried out: as root, and where a shell in the background has interrupts ignored.
launcher._Launcher._tell = killing(launcher._Launcher._tell)
container.start()
"""


def _left(marker: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marker in line:
            found.append(f"{folder.name} {line}")
    return found


@pytest.mark.parametrize("delay", [0, 0, 0.0003, 0.0006, 0.001, 0.002, 0.004, 0.008])
def test_nothing_is_left_of_a_start_whose_owner_was_killed(house, delay):
    paths = house.paths
    before = set(os.listdir(paths.containers))
    owner = subprocess.run(
        [sys.executable, "-c", OWNER, str(paths.home), str(paths.runtime), house.image, str(delay)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert owner.returncode == -9, owner.stderr
    for _ in range(100):  # ten seconds: what is promised
        left = [*_left("sleep 7777"), *(set(os.listdir(paths.containers)) - before - {"reaper.log", "names"})]
        if not left:
            break
        time.sleep(0.1)
    assert left == []


def test_a_pid_that_was_given_again_is_left_alone(tmp_path):
    """``status.json`` names a pid; a process that is younger than the file is another one."""
    status = tmp_path / "status.json"
    status.write_text(f'{{"child-pid": {os.getpid()}}}\n')
    assert removal._first_process(status)[0] == os.getpid()
    os.utime(status, (1, 1))
    assert removal._first_process(status) == (0, 0)
    status.write_text(f'{{"child-pid": {os.getpid()}}}\n{{"exit-code": 0}}\n')
    assert removal._first_process(status) == (0, 0)


def test_what_has_lost_its_parent_and_closed_the_status_is_found(tmp_path):
    """bwrap's first process, between its fork and the moment at which its parent tells its pid."""
    folder = tmp_path / "0123456789ab"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"scope": removal.read_scope(), "status": "created"}))
    code = "import os, sys, time; os.memfd_create(sys.argv[1]); print(flush=True); time.sleep(1000)"
    names = [f"jupyter-containers-{mark_of(place / 'status.json')}" for place in (folder, tmp_path / "another")]
    lost, other = (
        subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE) for name in names
    )  # fmt: skip
    try:
        for process in (lost, other):
            process.stdout.readline()
        removal.end_processes(folder)
        assert lost.wait(10) == -9
        assert other.poll() is None
    finally:
        for process in (lost, other):
            process.kill()
            process.wait()
            process.stdout.close()
