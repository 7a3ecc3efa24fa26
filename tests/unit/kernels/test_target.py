"""When a kernel's start needs a build: when the spec says something else, and not when the folder has changed."""

from __future__ import annotations

import msgspec
import pytest

from jupyter_containers.build import ensure
from jupyter_containers.build.labels import KERNEL_LABEL, PYTHON_LABEL
from jupyter_containers.errors import InputError, LimitError, NotFoundError
from jupyter_containers.kernels import target
from jupyter_containers.kernels.options import KernelOptions
from jupyter_containers.kernels.target import build_target, find_target
from jupyter_containers.spec.catalog import record
from jupyter_containers.spec.grants import grant_of
from jupyter_containers.spec.load import load_spec

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


def test_an_environment_whose_spec_is_gone_runs_from_its_image(processes, environment, folder, monkeypatch):
    """Its network and mounts were the spec's, and are gone with it; how its kernel is started the image tells."""
    image = processes.store.images[environment.image]
    (folder / "jupyter-container.toml").unlink()
    folder.rename(folder.with_name("away"))
    made = []
    monkeypatch.setattr(target, "find_injected", lambda *arguments, **options: None)
    monkeypatch.setattr(target, "inject", lambda image, host, **options: made.append((image.digest, options["name"])))
    assert find_target(SMALL, processes.paths, processes.store) is None  # an image without a label is asked
    build_target(SMALL, processes)
    assert made == [(environment.image, "small")]
    image[PYTHON_LABEL] = "/opt/venv/bin/python"
    for found in (find_target(SMALL, processes.paths, processes.store), build_target(SMALL, processes)):
        assert found.command == ("/opt/venv/bin/python", "-m", "ipykernel_launcher")
        assert found.loaded is None
    image.clear()
    image[KERNEL_LABEL] = '{"argv": ["/usr/bin/R", "{connection_file}"], "language": "R"}'
    assert find_target(SMALL, processes.paths, processes.store).kernel.language == "R"
    del processes.store.images[environment.image]
    with pytest.raises(NotFoundError, match="and its spec"):
        build_target(SMALL, processes)


class Begun(Exception):
    pass


@pytest.fixture
def building(monkeypatch):
    def begin(*arguments, **options):
        raise Begun

    monkeypatch.setattr(ensure, "ensure_built", begin)


@pytest.mark.usefixtures("building")
def test_a_limit_that_cannot_be_enforced_is_refused_before_the_build(processes, folder):
    spec = folder / "jupyter-container.toml"
    spec.write_text('name = "small"\n[resources]\nmemory = "1G"\n')
    processes.runtime.unenforceable = {"memory", "pids"}
    with pytest.raises(LimitError, match="memory"):
        build_target(SMALL, processes)
    with pytest.raises(LimitError, match="pids"):  # the options' own
        build_target(KernelOptions(environment="small", pids=9, accept_unenforced=("memory",)), processes)
    with pytest.raises(Begun):
        build_target(KernelOptions(environment="small", accept_unenforced=("memory",)), processes)


@pytest.mark.usefixtures("building")
def test_a_mount_that_is_not_there_is_told_before_the_build(processes, environment, folder):
    (folder / "jupyter-container.toml").write_text('name = "small"\n[[mounts]]\nsource = "lost"\ntarget = "/data"\n')
    agreed = msgspec.structs.replace(environment, granted=grant_of(load_spec(folder)))
    record(processes.paths, agreed)
    with pytest.raises(InputError, match="'lost' does not exist"):
        build_target(SMALL, processes)
    (folder / "lost").mkdir()
    with pytest.raises(Begun):
        build_target(SMALL, processes)
