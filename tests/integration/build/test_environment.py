"""A real environment: what is in it, and that it comes out the same everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.build.ensure import Built, ensure_built
from jupyter_containers.build.monitor import Event
from jupyter_containers.build.state import examine
from jupyter_containers.errors import BuildError, HashMismatchError, LockError, OutOfSpaceError
from jupyter_containers.paths import Paths

Run = Callable[..., str]
pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_packages_are_installed_and_the_kernel_s_user_is_there(small_environment: Built, shared_home: Paths, run: Run):
    image = small_environment.image
    code = """
import six, ipykernel, sys, pwd, os, json
print(json.dumps([sys.prefix, six.__file__, pwd.getpwuid(os.getuid()).pw_dir]))
"""
    prefix, six, home = json.loads(run(image, shared_home, "/opt/venv/bin/python", "-c", code))
    assert (prefix, home) == ("/opt/venv", "/home/jovyan")
    assert six.startswith("/opt/venv/lib/python3.")
    assert image.config.execution.working_dir == "/home/jovyan"
    assert image.config.execution.user == "1000:1000"


def test_dpkg_finds_every_package_installed_and_every_file_whole(
    small_environment: Built, shared_home: Paths, run: Run
):
    image = small_environment.image
    states = run(image, shared_home, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}\n", filter="build")
    assert set(states.split()) == {"ii"}
    assert run(image, shared_home, "dpkg", "--audit", filter="build") == ""
    # Documentation was left out; /etc/* are conffiles that our own base files may stand in for.
    broken = run(image, shared_home, "dpkg", "--verify", filter="build", check=False).splitlines()
    assert [line for line in broken if " /usr/share/" not in line and " c /etc/" not in line] == []


def test_the_environment_is_whole_for_pip_s_tools(small_environment: Built, shared_home: Paths, run: Run):
    """Every file that a RECORD names is there, with the hash that it has."""
    code = """
import base64, hashlib, importlib.metadata
bad = []
for distribution in importlib.metadata.distributions():
    for file in distribution.files:
        path = file.locate()
        if not path.exists(): bad.append(str(file)); continue
        if file.hash:
            digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, path.read_bytes()).digest())
            if digest.rstrip(b"=").decode() != file.hash.value: bad.append(str(file))
print(bad)
"""
    assert run(small_environment.image, shared_home, "/opt/venv/bin/python", "-c", code) == "[]\n"


def test_byte_code_is_there_and_used(small_environment: Built, shared_home: Paths, run: Run):
    code = "import six, importlib.util, sys; print(six.__cached__, six.__spec__.loader.get_code('six').co_filename)"
    cached, filename = run(small_environment.image, shared_home, "/opt/venv/bin/python", "-c", code).split()
    content = (small_environment.image.layer_paths[-1] / cached.lstrip("/")).read_bytes()
    assert content[4:8] == b"\x01\x00\x00\x00"  # PEP 552: by hash, and not checked
    assert filename.startswith("/opt/venv/lib/")


def test_nothing_of_the_host_is_in_the_image(small_environment: Built, shared_home: Paths, run: Run):
    words = [os.fsencode(str(shared_home.home)), os.uname().nodename.encode() + b"\n"]
    for layer in small_environment.image.layer_paths:
        found = subprocess.run(
            ["grep", "-rlaF", "-e", os.fsdecode(words[0]), "--", str(layer)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.stdout == ""
    root = small_environment.image.layer_paths[0]
    assert (root / "etc/resolv.conf").read_text() == ""
    assert (root / "etc/hostname").read_text() == "container\n"
    assert [path for path in (root / "var/lib/apt/lists").rglob("*") if path.is_file()] == []
    assert [path for path in (root / "var/log").rglob("*") if path.is_file()] == []


@pytest.fixture
def second_home(small_environment: Built, shared_home: Paths, tmp_path: Path) -> Paths:
    """Another home with the same downloads and nothing else."""
    paths = Paths(tmp_path / "home", tmp_path / "run").made()
    (paths.store / "cache").mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(["cp", "-al", shared_home.store / "cache/archives", paths.store / "cache/archives"], check=True)
    return paths


def test_the_same_lock_gives_the_same_bytes_in_another_home(
    small_environment: Built, second_home: Paths, project: Callable[..., Path]
):
    folder = project("small", SMALL, lock=small_environment.loaded.lock_file.read_bytes())
    again = ensure_built(folder, paths=second_home, locked=True)
    assert [layer.diff_id for layer in again.image.layers] == [
        layer.diff_id for layer in small_environment.image.layers
    ]


SMALL = """
[packages]
pip = ["six"]
"""


def test_a_second_build_does_nothing_and_leaves_no_record(small_environment: Built, shared_home: Paths):
    events: list[Event] = []
    again = ensure_built(small_environment.loaded.folder, paths=shared_home, monitor=events.append)
    assert (events, again.build_id) == ([], "")
    assert again.image.digest == small_environment.image.digest
    assert again.lock == small_environment.lock
    assert examine(again.record, shared_home).status.state == "ready"


def test_run_copy_and_env_make_layers_on_top(shared_home: Paths, small_environment: Built, project, run: Run):
    spec = (
        SMALL
        + """
[build]
copy = [{ source = "data", target = "data" }, { source = "run.sh", target = "bin/run.sh" }]
run = [
  "./home/jovyan/bin/run.sh > /result",
  "id -u >> /result; echo $GREETING >> /result; command -v python >> /result",
]
[build.env]
GREETING = "hello"
"""
    )
    folder = project("layers", spec, lock=small_environment.loaded.lock_file.read_bytes())
    (folder / "data").mkdir()
    (folder / "data/numbers.csv").write_text("1,2\n")
    (folder / "data/latest").symlink_to("numbers.csv")
    (folder / "run.sh").write_text("#!/bin/sh\ncat /home/jovyan/data/latest\n")
    (folder / "run.sh").chmod(0o755)
    built = ensure_built(folder, paths=shared_home)
    assert built.image.layers[:2] == small_environment.image.layers[:2]
    assert run(built.image, shared_home, "cat", "/result") == "1,2\n0\nhello\n/opt/venv/bin/python\n"
    assert run(built.image, shared_home, "sh", "-c", "echo $GREETING; ls -A /run /tmp") == "hello\n/run:\n\n/tmp:\n"

    (folder / "notebook.ipynb").write_text("{}")
    assert ensure_built(folder, paths=shared_home).build_id == ""
    number = time.time_ns()  # not what an earlier run in this home has built
    (folder / "data/numbers.csv").write_text(f"{number}\n")
    events: list[Event] = []
    changed = ensure_built(folder, paths=shared_home, monitor=events.append)
    cached = [event.cached for event in events if event.kind == "step" and event.phase == "done"]
    assert cached == [True, True, False, False, False, False]
    assert run(changed.image, shared_home, "cat", "/result").startswith(f"{number}\n")


def test_a_failing_run_step_tells_all_and_keeps_what_was_done(shared_home: Paths, small_environment: Built, project):
    spec = SMALL + '[build]\nrun = ["echo first > /first", "echo about to fail; frobnicate --now"]\n'
    folder = project("failing", spec, lock=small_environment.loaded.lock_file.read_bytes())
    with pytest.raises(BuildError) as caught:
        ensure_built(folder, paths=shared_home)
    message = str(caught.value)
    assert "`echo about to fail; frobnicate --now` failed with exit status 127" in message
    assert "about to fail" in caught.value.output
    assert "frobnicate" in caught.value.output
    assert "packages.apt" in caught.value.hint
    assert Path(caught.value.log).exists()
    events: list[Event] = []
    with pytest.raises(BuildError):
        ensure_built(folder, paths=shared_home, monitor=events.append)
    assert [event.cached for event in events if event.kind == "step" and event.phase == "done"] == [True] * 3


def test_a_step_that_takes_too_long_is_ended(shared_home: Paths, small_environment: Built, project, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONTAINERS_BUILD_TIMEOUT", "1")
    spec = SMALL + '[build]\nrun = ["sleep 60"]\n'
    folder = project("slow", spec, lock=small_environment.loaded.lock_file.read_bytes())
    with pytest.raises(BuildError, match="did not end within 1 s"):
        ensure_built(folder, paths=shared_home)


def test_a_wrong_hash_in_the_lock_is_refused(second_home: Paths, small_environment: Built, project):
    lock = small_environment.loaded.lock_file.read_text()
    tree = next(package for package in small_environment.lock.base.packages.popitem()[1] if package.name == "hostname")
    wrong = lock.replace(tree.sha256, "0" * 64)
    folder = project("wrong", SMALL, lock=wrong.encode())
    with pytest.raises(HashMismatchError, match="hostname"):
        ensure_built(folder, paths=second_home, locked=True)
    assert not (second_home.store / "tmp").exists() or list((second_home.store / "tmp").iterdir()) == []


def test_locked_refuses_a_lock_that_is_missing_or_outdated(shared_home: Paths, small_environment: Built, project):
    folder = project("unlocked", SMALL)
    with pytest.raises(LockError, match="does not exist"):
        ensure_built(folder, paths=shared_home, locked=True)
    folder = project("outdated", SMALL.replace("six", "tomli"), lock=small_environment.loaded.lock_file.read_bytes())
    with pytest.raises(LockError, match="does not fit the spec"):
        ensure_built(folder, paths=shared_home, locked=True)


def test_a_step_that_leaves_nothing_adds_no_layer(shared_home: Paths, small_environment: Built, project):
    spec = SMALL + '[build]\nrun = ["python -B -c pass"]\n'
    folder = project("check", spec, lock=small_environment.loaded.lock_file.read_bytes())
    image = ensure_built(folder, paths=shared_home).image
    assert image.layers == small_environment.image.layers
    assert image.config.history is not None
    assert [entry.empty_layer for entry in image.config.history] == [False, False, True]


def test_locked_builds_are_ready_the_second_time(shared_home: Paths, small_environment: Built, project):
    folder = project("pinned", SMALL, lock=small_environment.loaded.lock_file.read_bytes())
    before = (folder / "jupyter-container.lock").stat().st_mtime_ns
    assert ensure_built(folder, paths=shared_home, locked=True).build_id
    assert ensure_built(folder, paths=shared_home, locked=True).build_id == ""
    assert (folder / "jupyter-container.lock").stat().st_mtime_ns == before


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_is_told_and_nothing_is_left(small_environment: Built, project, tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", disk], check=True)
    try:
        paths = Paths(disk / "home", tmp_path / "run").made()
        folder = project("full", SMALL, lock=small_environment.loaded.lock_file.read_bytes())
        with pytest.raises(OutOfSpaceError) as caught:
            ensure_built(folder, paths=paths, locked=True)
        assert "free" in caught.value.hint
        assert list((paths.store / "tmp").iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
