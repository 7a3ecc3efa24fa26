"""The provisioner under jupyter_client, with real kernels (as processes: see conftest)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager, KernelManager

from jupyter_containers.errors import CancelledError, ContainerError, InputError, KernelError, NotFoundError
from jupyter_containers.kernels import kernelspec, provisioner
from jupyter_containers.kernels.launch import NOTEBOOK_LABEL, Target
from jupyter_containers.kernels.limits import Chosen, current_policy
from jupyter_containers.kernels.naming import move_notebook
from jupyter_containers.kernels.provisioner import ContainerProvisioner

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def manager(processes, folder):
    """Makes kernel managers for the installed kernelspec with these options."""
    made = []

    def make(**options) -> KernelManager:
        kernelspec.install("small", **options)
        made.append(KernelManager(kernel_name="jc-small"))
        return made[-1]

    yield make
    for item in made:
        if item.has_kernel:
            item.shutdown_kernel(now=True)


def ask(client, code: str) -> str:
    """The repr of an expression."""
    texts = []

    def keep(message):
        if message["msg_type"] == "execute_result":
            texts.append(message["content"]["data"]["text/plain"])
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=30, output_hook=keep, allow_stdin=False)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(texts)


@pytest.fixture
def start(manager, folder):
    clients = []

    def make(**options):
        made = manager(**options)
        made.start_kernel(cwd=str(folder))
        client = made.client()
        client.start_channels()
        client.wait_for_ready(timeout=120)
        clients.append(client)
        return made, client

    yield make
    for client in clients:
        client.stop_channels()


def test_a_kernel_answers_over_unix_sockets_and_leaves_nothing(start, processes, folder):
    manager, client = start()
    assert manager.transport == "ipc"
    assert ask(client, "import os; os.getcwd()") == repr(str(folder))
    assert ask(client, "'JPY_PARENT_PID' in os.environ") == "False"
    assert list(processes.paths.runtime.glob("k/*"))
    own_file = Path(manager.connection_file)
    assert json.loads(own_file.read_text())["ip"] == manager.ip
    manager.shutdown_kernel()
    assert not list(processes.paths.runtime.glob("k/*"))
    assert not processes.runtime.containers
    assert not own_file.exists()


def test_another_client_finds_the_kernel_by_the_managers_connection_file(start):
    from jupyter_client.blocking import BlockingKernelClient

    manager, _ = start()
    other = BlockingKernelClient(connection_file=manager.connection_file)
    other.load_connection_file()
    other.hb_channel.time_to_dead = 120  # else a busy host's kernel counts as dead after a second
    other.start_channels()
    other.wait_for_ready(timeout=120)
    assert ask(other, "1 + 1") == "2"
    other.stop_channels()


def test_interrupt_reaches_the_kernel(start, processes):
    manager, client = start()
    request = client.execute("import time\nprint('runs', flush=True)\ntime.sleep(60)")
    while client.get_iopub_msg(timeout=120)["msg_type"] != "stream":
        pass
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=120)
    assert reply["parent_header"]["msg_id"] == request
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert processes.runtime.containers[0].signals == [signal.SIGINT]


@pytest.mark.parametrize("now", [True, False])
def test_a_restart_makes_a_fresh_container_behind_the_same_sockets(start, processes, now):
    manager, client = start()
    before, address = manager.provisioner.container, manager.ip
    ask(client, "x = 1")
    manager.restart_kernel(now=now)
    client.wait_for_ready(timeout=120)
    assert ask(client, "'x' in globals()") == "False"
    assert manager.provisioner.container is not before and manager.ip == address
    assert processes.runtime.removed == [before]


def test_a_restart_can_keep_the_container(start, processes):
    manager, client = start(restart="keep")
    before = manager.provisioner.container
    manager.restart_kernel()
    client.wait_for_ready(timeout=120)
    assert manager.provisioner.container is before and not processes.runtime.removed
    manager.shutdown_kernel()
    assert processes.runtime.removed == [before] and not list(processes.paths.runtime.glob("k/*"))


def test_a_kept_container_goes_when_the_settings_change(start, processes, folder, change_spec):
    manager, client = start(restart="keep")
    before = manager.provisioner.container
    change_spec('name = "small"\nnetwork = "full"\n')
    manager.provisioner.build = "missing"
    manager.restart_kernel()
    client.wait_for_ready(timeout=120)
    assert manager.provisioner.container is not before
    assert manager.provisioner.container.config.network == "full"


@pytest.mark.parametrize(
    ("argv", "words", "hint"),
    [
        (["-c", "import sys; sys.exit('\x1b[31mno such thing\x1b[0m')"], ["exit code 1", "| no such thing"], ""),
        (["-m", "ipykernel_launcherx"], ["No module named ipykernel_launcherx"], "packages.pip"),
        (["-c", "import os; os.kill(os.getpid(), 9)"], ["SIGKILL"], "jupyter containers run"),
    ],
)
def test_a_container_that_ends_at_once_is_an_error_with_its_last_output(
    manager, processes, folder, argv, words, hint, change_spec
):
    argv = ["/usr/bin/python3", *argv, "{connection_file}"]
    text = f'name = "small"\n[kernel]\nargv = {json.dumps(argv)}\n'
    change_spec(text)
    made = manager()
    with pytest.raises(KernelError) as error:
        made.start_kernel(cwd=str(folder))
    for word in words:
        assert word in error.value.message
    assert "\x1b" not in str(error.value)
    assert hint in error.value.hint
    assert not processes.runtime.containers and not list(processes.paths.runtime.glob("k/*"))


def test_a_kernel_that_starts_again_takes_the_name_of_now(manager, processes, folder):
    """With what was agreed to for its notebook, which has been renamed since."""
    old, new = folder / "old.ipynb", folder / "new.ipynb"
    policy = current_policy()
    policy.agree(old, Chosen(pids=77))
    made = manager()
    made.start_kernel(cwd=str(folder), env=os.environ | {"JPY_SESSION_NAME": str(old)})
    policy.move(old, new)
    move_notebook(old, new)
    try:
        made.restart_kernel(now=True)
        config = made.provisioner.container.config
        assert (config.pids, config.labels[NOTEBOOK_LABEL]) == (77, str(new))
        made.shutdown_kernel(now=True)
        # Another notebook of the old name is another one.
        another = manager()
        another.start_kernel(cwd=str(folder), env=os.environ | {"JPY_SESSION_NAME": str(old)})
        config = another.provisioner.container.config
        assert (config.pids, config.labels[NOTEBOOK_LABEL]) != (77, str(new))
        assert config.labels[NOTEBOOK_LABEL] == str(old)
    finally:
        policy.forget(new)


def test_a_lack_of_memory_is_named(manager, processes, folder, change_spec):
    processes.runtime.cause = "out of memory (limit 64 MiB, peak 64 MiB)"
    argv = ["/usr/bin/python3", "-c", "import os; os.kill(os.getpid(), 9)", "{connection_file}"]
    text = f'name = "small"\n[kernel]\nargv = {json.dumps(argv)}\n'
    change_spec(text)
    with pytest.raises(KernelError, match="out of memory") as error:
        manager().start_kernel(cwd=str(folder))
    assert "resources.memory" in error.value.hint


def test_the_home_as_notebook_folder_is_refused_with_the_ways_out(manager, processes, jupyter_home):
    with pytest.raises(InputError, match="your home folder") as error:
        manager().start_kernel(cwd=str(jupyter_home))
    assert "mount_home" in error.value.hint
    assert not processes.runtime.containers


def test_bad_settings_in_a_kernelspec_are_an_error(processes):
    spec = KernelSpec(display_name="Mine")
    with pytest.raises(InputError, match="did you mean `memory`"):
        ContainerProvisioner(kernel_spec=spec, environment="small", memroy="1G")


def test_a_missing_environment_is_told_when_it_starts(manager, environment, paths):
    made = manager()
    (paths.environments / "small.json").unlink()
    with pytest.raises(NotFoundError, match="no environment named 'small'"):
        made.start_kernel()


def test_a_missing_image_is_built_before_the_kernel_starts(manager, processes, folder, monkeypatch):
    built = []

    def build(options, paths, *, monitor, cancel):
        built.append(options.environment)
        processes.store.images["sha256:new"] = {}
        return Target(name="small", image="sha256:new")

    monkeypatch.setattr(provisioner, "build_target", build)
    processes.store.images.clear()
    made = manager()
    made.start_kernel(cwd=str(folder))
    assert built == ["small"]
    assert made.provisioner.container.config.image == "sha256:new"


@pytest.mark.parametrize("how", ["cancel", "cancel_start"])
def test_a_start_that_waits_for_a_build_can_be_cancelled(manager, processes, folder, monkeypatch, how):
    import threading

    entered, ended = threading.Event(), threading.Event()

    def build(options, paths, *, monitor, cancel):
        entered.set()
        assert cancel.wait(30)
        ended.set()
        raise CancelledError("stopped")

    monkeypatch.setattr(provisioner, "build_target", build)
    processes.store.images.clear()
    kernelspec.install("small")

    async def run():
        made = AsyncKernelManager(kernel_name="jc-small")
        task = asyncio.create_task(made.start_kernel(cwd=str(folder)))
        await asyncio.to_thread(entered.wait, 30)
        if how == "cancel":
            task.cancel()
        else:
            made.provisioner.cancel_start()
        with pytest.raises((asyncio.CancelledError, CancelledError)):
            await task

    asyncio.run(run())
    assert ended.wait(30)
    assert not processes.runtime.containers


def test_building_can_be_forbidden(manager, processes, folder):
    processes.store.images.clear()
    with pytest.raises(NotFoundError, match="`build` is `never`"):
        manager(build="never").start_kernel(cwd=str(folder))


def test_a_kernel_that_dies_is_told_with_its_cause(start, processes, caplog):
    manager, client = start()
    client.execute("import os; os.kill(os.getpid(), 11)")
    container = manager.provisioner.container
    container.process.wait(30)
    assert not manager.is_alive()
    assert not manager.is_alive()
    told = [record.message for record in caplog.records if "has died" in record.message]
    assert len(told) == 1 and "SIGSEGV" in told[0]


def test_a_kernel_that_ends_while_it_is_asked_to(start, processes, monkeypatch):
    """It has ended, and its keeper does not know yet: an interrupt, and its shutdown with it, are no failure."""
    made, _ = start()
    (container,) = processes.runtime.containers

    send = container.signal

    def too_late(number):
        if number == signal.SIGINT:
            raise ContainerError("container calm-owl is not running")
        send(number)

    monkeypatch.setattr(container, "signal", too_late)
    made.interrupt_kernel()
    made.shutdown_kernel(now=True)
    assert not processes.runtime.containers


def test_a_kernel_that_somebody_removes_is_told(start, processes, monkeypatch, caplog):
    made, _ = start()
    (container,) = processes.runtime.containers
    container.remove(force=True)

    def gone():
        raise NotFoundError("no such container")

    monkeypatch.setattr(container, "state", gone)
    assert not made.is_alive()
    assert "the kernel has died: its container was removed" in caplog.text
    with monkeypatch.context() as patch:
        patch.setattr(container, "poll", gone)  # of one that outlives its server
        assert not made.is_alive()
        made.interrupt_kernel()
    made.shutdown_kernel()


def test_paths_of_the_kernel_are_resolved_inside_its_folder_only(start, folder):
    manager, _ = start()
    (folder / "a.py").touch()
    assert manager.resolve_path("a.py") == str(folder / "a.py")
    assert manager.resolve_path("../../etc/passwd") is None
    assert manager.resolve_path("/etc/passwd") is None


def test_a_kernel_is_found_again_from_its_info(start, processes):
    manager, _ = start()
    info = asyncio.run(manager.provisioner.get_provisioner_info())

    async def load():
        other = ContainerProvisioner(kernel_spec=manager.kernel_spec, environment="small")
        await other.load_provisioner_info(info)
        return other.has_process, await other.poll()

    assert asyncio.run(load()) == (True, None)


def test_variables_of_the_server_stay_outside(start, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    monkeypatch.setenv("COURSE_DATA", "/data")
    _, client = start(pass_env=["COURSE_*"])
    names = ask(client, "import os; sorted(os.environ)")
    assert "JUPYTERHUB_API_TOKEN" not in names and "COURSE_DATA" in names
    assert "JPY_PARENT_PID" not in names
    assert os.environ["JUPYTERHUB_API_TOKEN"] == "secret"
