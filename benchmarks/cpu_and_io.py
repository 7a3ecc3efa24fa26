"""CPU and file work: inside a container against outside, the same interpreter's bytes in both.

The work runs in the image's own interpreter, without site packages on both sides: outside it is called through the
image's loader, so that both execute the same code and only the container differs.

No file is removed before all is measured: ext4 gives an inode anew only half a minute after its file was removed, so
making files is up to ten times as slow then, on either side.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .measure import Row, compare
from .setup import Bench

PREFIX = "bench-files-"

CPU = """
import hashlib, json, time

def work():
    start = time.perf_counter()
    total = 0
    for number in range(1_000_000):
        total = (total * 31 + number) % 1_000_003
    digest, block = hashlib.sha256(), b"x" * 1_000_000
    for _ in range(30):
        digest.update(block)
    return time.perf_counter() - start

# The quickest of some: what else the machine does only ever adds.
print(json.dumps(min(work() for _ in range(7))))
"""

FILES = """
import json, os, pathlib, tempfile, time
folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ["WORK_FOLDER"]))
block = os.urandom(1 << 20)
os.sync()
start = time.perf_counter()
for number in range(2000):
    (folder / f"small-{number}").write_bytes(block[:4096])
with open(folder / "large", "wb", buffering=0) as stream:
    for _ in range(256):
        stream.write(block)
for number in range(2000):
    (folder / f"small-{number}").read_bytes()
with open(folder / "large", "rb", buffering=0) as stream:
    while stream.read(1 << 20):
        pass
print(json.dumps(time.perf_counter() - start))
"""


def rows() -> Iterator[Row]:
    with Bench() as bench:
        environment = bench.environment("bench-python", pip=())
        folder = bench.folder("work")
        for question, program, aim, place, runs in (
            # Two processes on one side differ by 2 % (where their memory lies): it takes many pairs to see 1 %.
            ("pure CPU: loop and SHA-256", CPU, "≤ 1.01", "mounted", 21),
            ("file I/O in the mounted notebook folder", FILES, "≤ 1.05", "mounted", 7),
            ("file I/O in the container's own layer", FILES, "≤ 1.05", "layer", 7),
        ):
            yield compare(
                question,
                lambda program=program, place=place: _inside(bench, environment, program, folder, place),
                lambda program=program: _outside(bench, environment, program, folder),
                peer_name="outside",
                runs=runs,
                aim=aim,
            )
        names = [item["name"] for item in json.loads(bench.cli("ps", "-a", "--json"))]
        bench.cli("rm", *(name for name in names if name.startswith(PREFIX)))


def _inside(bench: Bench, environment: str, program: str, folder: Path, place: str) -> float:
    target = str(folder) if place == "mounted" else "/home/jovyan"
    name = f"{PREFIX}{secrets.token_hex(4)}"
    argv = ["run", "--name", name, "-v", f"{folder}:{folder}", "-e", f"WORK_FOLDER={target}", environment]
    return float(json.loads(bench.cli(*argv, "/usr/bin/python3", "-S", "-c", program)))


def _outside(bench: Bench, environment: str, program: str, folder: Path) -> float:
    root = bench.base_layer(environment)
    loader = next(root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*"))
    libraries = f"{loader.parent}:{root / 'usr/lib'}"
    result = subprocess.run(
        [str(loader), "--library-path", libraries, str(next(root.glob("usr/bin/python3.*[0-9]"))), "-S", "-c", program],
        env={"WORK_FOLDER": str(folder), "PYTHONHOME": str(root / "usr")},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(result.stdout))
