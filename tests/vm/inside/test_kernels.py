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
    told = execute(tmp_path, house, "x = bytearray(900 << 20)\nx[::4096] = b'x' * (len(x) // 4096)", "--memory", "300M")
    print(told)
    assert "out of memory (limit 300 MiB, peak " in told


def test_a_kernel_within_its_limits_works(tmp_path, house):
    told = execute(tmp_path, house, "print(6 * 7)", "--memory", "500M", "--cpus", "1")
    done = tmp_path / "n.executed.ipynb"
    assert done.exists(), told
    assert "42" in done.read_text()


def test_a_fork_has_its_limits_too(tmp_path, house, monkeypatch):
    """The process to fork from lies in the scope as its forks have to: from elsewhere they could not get there."""
    from jupyter_client.manager import KernelManager

    from jupyter_containers.kernels import kernelspec
    from jupyter_containers.paths import Paths
    from jupyter_containers.runtime import warm

    for name, value in house.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JUPYTER_CONTAINERS_HOME", os.environ["MACHINE_STORE"])
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    kernelspec.install("small", paths=Paths.current(), warm="wait", memory="300M", pids=100)
    manager = KernelManager(kernel_name="jc-small")
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    manager.start_kernel(cwd=str(notebooks))
    try:
        state = manager.provisioner.container.state()
        assert state.start == "fork"
        enforced = {row.limit: row.enforced_by for row in state.limits}
        assert enforced == {"memory": "cgroup v2 (systemd scope)", "pids": "cgroup v2 (systemd scope)"}
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=120)
        client.execute("x = bytearray(900 << 20)\nx[::4096] = b'x' * (len(x) // 4096)")
        house.eventually(lambda: manager.provisioner.container.poll() is not None, timeout=120)
        assert "out of memory (limit 300 MiB, peak " in manager.provisioner.container.state().cause
        client.stop_channels()
    finally:
        manager.shutdown_kernel(now=True)
        warm.close_servers()
