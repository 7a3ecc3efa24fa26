"""A notebook's kernel in the machine, by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

COMMAND = [str(Path(sys.executable).with_name("jupyter-containers"))]


def execute(folder: Path, house, code: str, *options: str) -> str:
    cell = {"cell_type": "code", "id": "one", "execution_count": None, "metadata": {}, "outputs": [], "source": code}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "n.ipynb").write_text(json.dumps(notebook))
    environment = {**house.env, "JUPYTER_CONTAINERS_HOME": os.environ["MACHINE_STORE"]}
    done = subprocess.run(
        [*COMMAND, "execute", "n.ipynb", "--env", "small", *options],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_kernel_that_runs_out_of_memory_is_told_with_its_figures(tmp_path, house):
    told = execute(tmp_path, house, "x = bytearray(2 << 30)\nx[::4096] = b'x' * (len(x) // 4096)", "--memory", "300M")
    print(told)
    assert "out of memory (limit 300.0 MiB, peak " in told


def test_a_kernel_within_its_limits_works(tmp_path, house):
    told = execute(tmp_path, house, "print(6 * 7)", "--memory", "500M", "--cpus", "1", "--pids", "100")
    assert "42" in (tmp_path / "n.executed.ipynb").read_text(), told
