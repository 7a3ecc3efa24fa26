"""A short run of ``benchmarks/soak.py``: kernels are started and ended in many ways, and nothing is left of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.build.ensure import Built
from jupyter_containers.environments import Environments
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.paths import Paths

pytestmark = [pytest.mark.network, pytest.mark.slow]

ROUNDS, SEED = 15, 515
"""Which has all three kinds of starts, of this process and of a server, both of which are killed as well."""
PROJECT = Path(__file__).parents[3]


@pytest.fixture
def home(shared_home: Paths, small_environment: Built) -> Iterator[Path]:
    """A home of its own, for all that is in it is counted, above a store with the image of ``small``."""
    # Where files can be linked: on the same mount.
    top = Path(tempfile.mkdtemp(prefix="soak-", dir=shared_home.home))
    try:
        with Environments(shared_home) as environments:
            environments.storage.publish(["small"], top / "shared")
        shutil.copytree(shared_home.home / "specs" / "small", top / "home" / "specs" / "small")
        yield top / "home"
    finally:
        remove_tree(top)


def test_nothing_is_left_of_kernels_however_they_ended(home: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "JUPYTER_"))}
    env |= {
        "JUPYTER_CONTAINERS_BENCH_HOME": str(home),
        "JUPYTER_CONTAINERS_HOME": str(home),
        "JUPYTER_CONTAINERS_SHARED_STORES": str(home.parent / "shared"),
        "JUPYTER_DATA_DIR": str(home / "jupyter"),
    }

    def run(*argv: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *argv], cwd=PROJECT, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("jupyter_containers", "build", "--quiet", str(home / "specs" / "small"))
    options = [f"--rounds={ROUNDS}", f"--seed={SEED}", "--before=0", "--environment=small"]
    told = run("benchmarks.soak", *options)
    noted = json.loads((home / "results" / "soak.jsonl").read_text())
    assert (noted["rounds"], noted["left"]) == (ROUNDS, []), told
    starts = {what.rpartition("(")[2].partition(",")[0].rstrip(")") for what in noted["done"]}
    assert starts == {"fresh", "fork", "pool", "elsewhere"}, told
