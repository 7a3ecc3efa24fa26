"""Several processes, and processes that are killed at any moment: the store stays whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyter_containers.image.check import verify
from jupyter_containers.image.gc import collect
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.image.store import Store

WORK = """
import sys
from pathlib import Path
from jupyter_containers.image.gc import collect
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.image.store import Store

store = Store(Path(sys.argv[1]))
print("ready", flush=True)
number = int(sys.argv[2])
while True:
    number += 1
    with store.lease(), store.lock_step(f"step-{number}"):
        with store.staging() as staging:
            for index in range(40):
                folder = staging.fs / f"folder{index % 7}"
                folder.mkdir(exist_ok=True)
                (folder / f"file{index}").write_bytes(str(number).encode() * 2000)
            (staging.fs / "secret").mkdir(mode=0)
            layer = store.commit_layer(staging.fs, created_by=f"step {number}")
            store.record_step(f"step-{number}", layer)
        image = store.put_image(ImageConfig(architecture="amd64"), [layer])
        store.tag(f"image-{number % 3}", image.digest)
    if number % 5 == 0:
        collect(store)
"""

SHARE = """
import sys, time
from pathlib import Path
from jupyter_containers.image.store import Store

store = Store(Path(sys.argv[1]))
sys.stdin.readline()
waited = []
with store.lease(), store.lock_step("one-step", waiting=waited.append):
    layer = store.step("one-step")
    built = layer is None
    if layer is None:
        with store.staging() as staging:
            (staging.fs / "file").write_text("x")
            time.sleep(0.2)
            layer = store.commit_layer(staging.fs, created_by="x")
            store.record_step("one-step", layer)
print(built, layer.id, len(waited) > 0)
"""

PUBLISH = """
import sys
from pathlib import Path
from jupyter_containers.image.store import Store

store = Store(Path(sys.argv[1]))
sys.stdin.readline()
for number in range(20):
    with store.staging() as staging:
        (staging.fs / "file").write_bytes(str(number).encode() * 5000)
        print(store.commit_layer(staging.fs, created_by="x").id)
"""

HOLD = """
import sys
from pathlib import Path
from jupyter_containers.image.store import Store

store = Store(Path(sys.argv[1]))
with store.lease([sys.argv[2]]) as lease, store.lock_step("held"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_store_survives_kill_9_at_any_moment(store: Store) -> None:
    chance = random.Random(4711)
    for turn in range(12):
        process = start(WORK, str(store.root), str(turn * 1000))
        try:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.25))
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        # Readers see whole objects only, before anything was cleaned up.
        assert verify(store) == ()
        for image in store.images():
            assert all((layer.path / "folder0/file0").exists() for layer in image.layers)
    collect(store)
    assert verify(store) == ()
    assert os.listdir(store.root / "tmp") == os.listdir(store.root / "locks") == os.listdir(store.root / "leases") == []
    assert not list(store.root.rglob(".*.tmp"))
    kept = {layer.id for image in store.images() for layer in image.layers}
    assert set(os.listdir(store.root / "l")) == kept
    assert 1 <= len(kept) <= 3


def test_two_processes_share_one_step(store: Store) -> None:
    processes = [start(SHARE, str(store.root)) for _ in range(3)]
    outputs = [process.communicate("go\n")[0].split() for process in processes]
    assert sorted(built for built, _, _ in outputs) == ["False", "False", "True"]
    assert len({layer for _, layer, _ in outputs}) == 1
    assert len(os.listdir(store.root / "l")) == 1
    assert os.listdir(store.root / "locks") == []


def test_equal_layers_committed_at_once_are_one(store: Store) -> None:
    processes = [start(PUBLISH, str(store.root)) for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate()[0].split() for process in processes]
    assert outputs[0] == outputs[1]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(outputs[0]) == sorted(os.listdir(store.root / "l"))
    assert verify(store) == ()


def test_a_dead_process_s_lease_and_lock_end_with_it(store: Store) -> None:
    with store.staging() as staging:
        (staging.fs / "f").write_text("x")
        layer = store.commit_layer(staging.fs, created_by="x")
    image = store.put_image(ImageConfig(architecture="amd64"), [layer])
    process = start(HOLD, str(store.root), image.digest)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        owners: list[int] = []

        class Busy(Exception):
            pass

        def note(pid: int) -> None:
            owners.append(pid)
            raise Busy

        with pytest.raises(Busy), store.lock_step("held", waiting=note):
            pass
        assert owners == [process.pid]
        assert collect(store).items == ()
    finally:
        process.kill()
        process.communicate()
    with store.lock_step("held", waiting=note):
        pass
    assert len(collect(store).items) == 2
    assert os.listdir(store.root / "leases") == []


def test_a_child_that_inherits_a_lease_prolongs_it(store: Store) -> None:
    with store.staging() as staging:
        (staging.fs / "f").write_text("x")
        layer = store.commit_layer(staging.fs, created_by="x")
    image = store.put_image(ImageConfig(architecture="amd64"), [layer])
    with store.lease([image.digest]) as lease:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[lease.fileno()])
        lease.leave_to_children()
    try:
        assert collect(Store(store.root)).items == ()
    finally:
        child.communicate()
    assert len(collect(Store(store.root)).items) == 2


def test_collecting_beside_builders_takes_nothing_that_is_used(store: Store, tmp_path: Path) -> None:
    processes = [start(WORK, str(store.root), str(turn * 1000)) for turn in range(2)]
    try:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            collect(store)
        assert [process.poll() for process in processes] == [None, None]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert verify(store) == ()
