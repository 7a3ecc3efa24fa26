"""When a kernel's start needs a build: when the spec says something else, and not when the folder has changed."""

from __future__ import annotations

import pytest

from jupyter_containers.kernels.options import KernelOptions
from jupyter_containers.kernels.target import find_target

SMALL = KernelOptions(environment="small")

pytestmark = pytest.mark.usefixtures("environment")


def test_what_jupyter_writes_into_the_folder_changes_nothing(processes, folder):
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "analysis.ipynb").write_text("{}")
    (folder / "jupyter-container.toml").touch()
    assert find_target(SMALL, processes.paths, processes.store) is not None


@pytest.mark.parametrize("change", ["base", "packages", "no lock"])
def test_a_spec_that_says_something_else_is_built(processes, folder, change):
    spec, lock = folder / "jupyter-container.toml", folder / "jupyter-container.lock"
    if change == "base":
        spec.write_text('name = "small"\nbase = "debian:bookworm"\n')
    elif change == "packages":
        spec.write_text('name = "small"\n[packages]\npip = ["numpy"]\n')
    else:
        lock.unlink()
    assert find_target(SMALL, processes.paths, processes.store) is None
    unchanged = KernelOptions(environment="small", build="missing")
    assert find_target(unchanged, processes.paths, processes.store) is not None
