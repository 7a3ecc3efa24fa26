from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import InputError
from jupyter_containers.kernels.connection import ConnectionFolder
from jupyter_containers.kernels.folders import Guarded
from jupyter_containers.kernels.launch import Target, kernel_argv, kernel_config, pick_environment
from jupyter_containers.kernels.options import KernelOptions, check_options
from jupyter_containers.spec.model import EnvironmentSpec, Kernel, LoadedSpec, Mount, Resources


def make_target(folder, **spec) -> Target:
    made = EnvironmentSpec(name="small", **spec)
    loaded = LoadedSpec(spec=made, folder=folder, file=folder / "jupyter-container.toml")
    return Target(name="small", image="sha256:1", loaded=loaded, kernel=made.kernel)


def make_config(target, paths, folder, *, env=(), extra=(), **options):
    connection = ConnectionFolder.choose(paths)
    return connection, kernel_config(
        target, KernelOptions(environment="small", **options), connection, Guarded.current(paths), folder=folder,
        env=dict(env), extra=extra,
    )  # fmt: skip


def test_the_default_kernel_is_ipykernel_with_its_own_connection_file(paths, folder):
    connection, config = make_config(make_target(folder), paths, folder)
    launcher = ("python3", "-m", "ipykernel_launcher", "-f", str(connection.file))
    magic = f"--IPKernelApp.exec_files={connection.path}/container.py"
    assert config.argv == (*launcher, "--HistoryManager.hist_file=:memory:", magic)
    connection, config = make_config(make_target(folder), paths, folder, restart="keep")
    assert "--HistoryManager.hist_file=:memory:" not in config.argv
    assert config.cwd == str(folder)
    seen = {(mount.source, mount.target, mount.mode) for mount in config.mounts}
    assert seen == {(str(folder), str(folder), "rw"), (str(connection.path), str(connection.path), "rw")}
    assert config.network == "none" and config.kind == "kernel" and config.die_with_parent
    assert config.scratch == (str(connection.path),)


def test_only_the_connection_file_is_filled_in(tmp_path):
    kernel = Kernel(argv=("/bin/sh", "-c", "x=${HOME}; exec k {connection_file} {other}"), language="k")
    argv = kernel_argv(Target(name="k", image="i", kernel=kernel), tmp_path / "c.json", ["--x"])
    assert argv == ("/bin/sh", "-c", f"x=${{HOME}}; exec k {tmp_path / 'c.json'} {{other}}", "--x")


def test_options_go_before_the_spec(paths, folder):
    target = make_target(folder, resources=Resources(memory=1 << 30, pids=50), network="full")
    _, config = make_config(target, paths, folder, memory="2G", network="none", mount_folder="ro")
    assert (config.memory, config.pids, config.network) == (2 << 30, 50, "none")
    assert config.mounts[0].mode == "ro"


def test_without_the_folder_the_kernel_starts_at_home(paths, folder):
    _, config = make_config(make_target(folder), paths, folder, mount_folder="none")
    assert config.cwd == "" and len(config.mounts) == 1


def test_a_mounted_home_has_the_private_folders_covered(paths, folder, jupyter_home):
    _, config = make_config(make_target(folder), paths, jupyter_home, mount_home=True)
    covers = {mount.target: mount for mount in config.mounts}[str(paths.home)]
    assert covers.mode == "ro" and covers.source == str(paths.runtime / "empty")


def test_a_mount_of_the_spec_starts_at_its_folder(paths, folder):
    (folder / "data").mkdir()
    target = make_target(folder, mounts=(Mount(source="data", target="/data"),))
    _, config = make_config(target, paths, folder)
    assert ("/data", str(folder / "data"), "ro") in {(item.target, item.source, item.mode) for item in config.mounts}


def test_a_missing_mount_is_named(paths, folder):
    target = make_target(folder, mounts=(Mount(source="nowhere", target="/data"),))
    with pytest.raises(InputError, match="nowhere"):
        make_config(target, paths, folder)


def test_the_environment_is_an_allow_list():
    host = {
        "JPY_SESSION_NAME": "/a.ipynb", "JPY_PARENT_PID": "1", "JUPYTER_TOKEN": "secret", "HOME": "/root", "TZ": "UTC",
        "AWS_SECRET": "x", "LD_PRELOAD": "x", "COURSE": "1", "FROM_SPEC": "filled",
    }  # fmt: skip
    assert pick_environment(host, {"FROM_SPEC": "${X}"}, ["COURSE"]) == {
        "JPY_SESSION_NAME": "/a.ipynb", "TZ": "UTC", "COURSE": "1", "FROM_SPEC": "filled",
    }  # fmt: skip


@given(st.dictionaries(st.text(min_size=1), st.text()), st.lists(st.sampled_from(["*", "JPY_*", "?PY_PARENT_PID"])))
def test_the_parents_pid_never_goes_in(host, names):
    assert "JPY_PARENT_PID" not in pick_environment({**host, "JPY_PARENT_PID": "1"}, {}, names)


def test_all_bad_options_are_told_at_once():
    with pytest.raises(InputError) as error:
        check_options({"environment": "a", "memroy": "1G", "memory": "much", "network": "some"}, source="kernelspec x")
    text = str(error.value)
    assert "did you mean `memory`" in text and "'much' is not a size" in text and "network" in text
    assert len(error.value.problems) == 3


@pytest.mark.parametrize("values", [{}, {"environment": "a", "image": "b"}])
def test_exactly_one_thing_is_run(values):
    with pytest.raises(InputError, match="set one of"):
        check_options(values, source="kernelspec x")
