"""A disk that is full: while a step writes, and before a command begins. A tmpfs of its own is the disk."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.network, pytest.mark.slow]

DISK = 'mount -t tmpfs -o size=900m,mode=0700 disk "$0" && exec "$@"'
"""Less would not do: an image from a file is taken in while 512 MiB are free."""

SCENARIO = r"""
import json, os, subprocess, sys
from pathlib import Path
from jupyter_containers.image.check import verify
from jupyter_containers.image.store import Store

disk, spec, base = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
home = disk / "home"
environment = {**os.environ, "JUPYTER_CONTAINERS_HOME": str(home)}
steps = []

def call(name, *argv):
    command = [sys.executable, "-m", "jupyter_containers", *argv]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    staging = sorted(path.name for path in (home / "store/tmp").iterdir())
    containers = sorted(path.name for path in (home / "containers").iterdir())
    steps.append({
        "name": name, "status": done.returncode, "out": done.stdout, "err": done.stderr, "staging": staging,
        "containers": [item for item in containers if item not in ("names", "reaper.log") and ".gone-" not in item],
    })

def write(line):
    kernel = '[kernel]\nargv = ["/bin/sh", "{connection_file}"]\n'
    text = f'name = "full"\nbase = "{base}"\n{kernel}[build]\nrun = ["{line}"]\n'
    spec.joinpath("jupyter-container.toml").write_text(text)

def fill():
    for size in (1 << 20, 512):
        with open(disk / f"filler-{size}", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass

write("echo one > /result")
call("build", "build", str(spec))
write("dd if=/dev/zero of=/big bs=1M count=5000")
call("step", "build", str(spec))
call("runs", "run", "--rm", "full", "cat", "/result")
write("echo two > /result")
fill()
call("build when full", "build", str(spec))
call("run when full", "run", "--rm", "full", "true")
call("run -d when full", "run", "-d", "full", "true")
call("tag when full", "tag", "full", "other:1")
for file in disk.glob("filler-*"):
    file.unlink()
call("runs still", "run", "--rm", "full", "cat", "/result")
call("builds again", "build", str(spec))
call("runs anew", "run", "--rm", "full", "cat", "/result")
print(json.dumps({"steps": steps, "damage": [str(item) for item in verify(Store(home / "store"))]}))
"""


def _with_disk(disk: Path) -> list[str]:
    """The beginning of a command that runs with a small disk at *disk*, in a mount namespace of its own."""
    if os.geteuid() == 0:
        return ["unshare", "-m", "sh", "-c", DISK, str(disk)]
    # Who may mount there is root of a user namespace; in a second one within it we are ourselves again.
    back = ["unshare", "-U", f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}"]
    return ["unshare", "-Urm", "sh", "-c", DISK, str(disk), *back]


def test_a_full_disk(archive, tmp_path):
    disk, spec = archive.parent / "disk", archive.parent / "spec"
    disk.mkdir()
    spec.mkdir()
    if shutil.which("unshare") is None or subprocess.run([*_with_disk(disk), "true"], capture_output=True).returncode:
        pytest.skip("no disk of its own can be mounted here")
    command = [*_with_disk(disk), sys.executable, "-c", SCENARIO, str(disk), str(spec), f"oci-archive:{archive}"]
    environment = {**os.environ, "JUPYTER_DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["damage"] == []
    steps = {step["name"]: step for step in found["steps"]}
    for name in ("build", "runs", "runs still", "builds again", "runs anew"):
        assert steps[name]["status"] == 0, (name, steps[name]["err"])
    assert [steps[name]["out"] for name in ("runs", "runs still", "runs anew")] == ["one\n", "one\n", "two\n"]
    for step in steps.values():
        assert "Traceback" not in step["err"]
        assert (step["staging"], step["containers"]) == ([], []), step["name"]
    assert "No space left on device" in steps["step"]["err"]
    for name in ("step", "build when full", "run when full", "run -d when full", "tag when full"):
        assert steps[name]["status"] == 1, (name, steps[name]["err"])
        assert len(re.findall("^error: ", steps[name]["err"], re.MULTILINE)) == 1
        assert "prune` " in steps[name]["err"].partition("hint: ")[2], steps[name]["err"]
        assert name == "step" or f"{disk}/home" in steps[name]["err"]
