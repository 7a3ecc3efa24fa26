from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace

import pytest
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from jupyter_containers.errors import ConflictError, InputError, NotFoundError
from jupyter_containers.kernels import dynamic, kernelspec
from jupyter_containers.kernels.dynamic import ContainerKernelSpecMixin

pytestmark = pytest.mark.usefixtures("environment")


class Manager(ContainerKernelSpecMixin, KernelSpecManager):
    pass


@pytest.fixture
def dynamic_manager(monkeypatch, jupyter_home):
    """Kernel spec managers with a server of that root folder as parent."""

    def make(root="", **options):
        own = [str(jupyter_home / "data/kernels")]  # and not those of the Python that runs the tests
        made = Manager(ensure_native_kernel=False, kernel_dirs=own, **options)
        monkeypatch.setattr(Manager, "parent", SimpleNamespace(root_dir=str(root)), raising=False)
        return made

    return make


def test_an_installed_kernelspec_is_found_with_its_options_and_logos(jupyter_home):
    folder = kernelspec.install("small", memory="2G", mount_folder="ro")
    spec = KernelSpecManager().get_kernel_spec("jc-small")
    assert folder == jupyter_home / "data/kernels/jc-small"
    assert spec.display_name == "Small (container)" and spec.language == "python"
    config = spec.metadata["kernel_provisioner"]["config"]
    assert config == {"environment": "small", "memory": "2G", "mount_folder": "ro"}
    assert spec.metadata["debugger"] is True
    assert (folder / "logo-svg.svg").is_file()


def test_the_argv_is_a_command_of_this_program(jupyter_home):
    argv = json.loads((kernelspec.install("small") / "kernel.json").read_text())["argv"]
    assert argv[:4] == [sys.executable, "-m", "jupyter_containers", "kernel"]
    assert json.loads(argv[argv.index("--options") + 1]) == {"environment": "small"}
    assert argv[-2:] == ["-f", "{connection_file}"]


def test_installing_again_replaces_and_leaves_no_draft(jupyter_home):
    kernelspec.install("small", memory="1G")
    folder = kernelspec.install("small", display_name="Other")
    content = json.loads((folder / "kernel.json").read_text())
    assert content["display_name"] == "Other (container)"
    assert content["metadata"]["kernel_provisioner"]["config"] == {"environment": "small"}
    assert [item.name for item in folder.parent.iterdir()] == ["jc-small"]


def test_a_prefix_gets_it(tmp_path):
    assert kernelspec.install("small", prefix=tmp_path) == tmp_path / "share/jupyter/kernels/jc-small"


def test_somebody_elses_kernelspec_is_not_replaced(jupyter_home):
    other = jupyter_home / "data/kernels/jc-small"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text('{"argv": ["mine"], "display_name": "Mine", "language": "x"}')
    with pytest.raises(ConflictError, match="did not write"):
        kernelspec.install("small")
    assert kernelspec.list_installed() == ()
    assert kernelspec.remove("small", missing_ok=True) == ()
    assert other.exists()


def test_list_and_remove():
    kernelspec.install("small")
    (item,) = kernelspec.list_installed()
    assert (item.name, item.environment, item.language) == ("jc-small", "small", "python")
    assert [str(folder) for folder in kernelspec.remove("jc-small")] == [item.folder]
    with pytest.raises(NotFoundError, match="no kernelspec of small"):
        kernelspec.remove("small")


def test_unknown_environments_and_options_are_errors():
    with pytest.raises(NotFoundError, match="no environment named 'other'"):
        kernelspec.install("other")
    with pytest.raises(InputError, match="did you mean `memory`"):
        kernelspec.install("small", memori="1G")


def test_environments_need_no_install(dynamic_manager):
    manager = dynamic_manager()
    assert manager.find_kernel_specs() == {"jc-small": str(kernelspec.RESOURCES)}
    assert manager.get_kernel_spec("jc-small").display_name == "Small (container)"
    assert manager.get_all_specs()["jc-small"]["spec"]["language"] == "python"


def test_an_installed_one_comes_first(dynamic_manager):
    folder = kernelspec.install("small", memory="2G")
    manager = dynamic_manager()
    assert manager.find_kernel_specs()["jc-small"] == str(folder)
    config = manager.get_kernel_spec("jc-small").metadata["kernel_provisioner"]["config"]
    assert config["memory"] == "2G"


def test_specs_in_the_root_folder_appear_before_they_are_built(dynamic_manager, tmp_path):
    for name, text in {
        "one": 'name = "first"',
        "two": 'name = "second"',
        "bad": 'nam = "x"',
        ".hidden": 'name = "h"',
    }.items():
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "jupyter-container.toml").write_text(text + "\n")
    manager = dynamic_manager(tmp_path / "root")
    assert set(manager.find_kernel_specs()) == {"jc-small", "jc-first", "jc-second"}
    config = manager.get_kernel_spec("jc-second").metadata["kernel_provisioner"]["config"]
    assert config == {"spec_file": str(tmp_path / "root/two")}


def test_a_changed_spec_is_read_again(dynamic_manager, tmp_path, monkeypatch):
    monkeypatch.setattr(dynamic, "FRESH", 0.0)
    file = tmp_path / "jupyter-container.toml"
    file.write_text('name = "before"\n')
    manager = dynamic_manager(tmp_path)
    assert "jc-before" in manager.find_kernel_specs()
    file.write_text('name = "after-it"\n')
    import os

    os.utime(file, ns=(1, time.time_ns() + 10**9))
    assert "jc-before" not in manager.find_kernel_specs() and "jc-after-it" in manager.find_kernel_specs()


def test_the_allow_list_of_the_server_holds(dynamic_manager):
    manager = dynamic_manager(allowed_kernelspecs={"python3"})
    assert manager.find_kernel_specs() == {}
    with pytest.raises(NoSuchKernel):
        manager.get_kernel_spec("jc-small")


def test_unknown_names_stay_unknown(dynamic_manager):
    with pytest.raises(NoSuchKernel):
        dynamic_manager().get_kernel_spec("jc-other")


def test_it_can_be_switched_off(dynamic_manager):
    assert dynamic_manager(dynamic_environments=False).find_kernel_specs() == {}
