"""Forked kernels: what differs from fresh ones, and what happens where there is nothing to fork from."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from startkinds import how, run

from jupyter_containers.image.store import Store
from jupyter_containers.kernels import kernelspec
from jupyter_containers.runtime import warm
from jupyter_containers.runtime.bundled import BundledRuntime

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def kernel(environment, folder, launched):
    """Start a kernel with these options; all are gone at the end."""

    def start(*, arguments=(), **options) -> KernelManager:
        kernelspec.install(environment, **options)
        manager = KernelManager(kernel_name=f"jc-{environment}")
        manager.start_kernel(cwd=str(folder), extra_arguments=list(arguments))
        launched.append(manager)
        return manager

    return start


def test_until_one_is_ready_starts_are_fresh(kernel) -> None:
    warm.close_servers()
    first = kernel(warm="on")
    assert how(first) == "fresh: the process to fork from is not ready yet"
    deadline = time.monotonic() + 60
    while how(later := kernel(warm="on")) != "fork":
        later.shutdown_kernel(now=True)
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert run(first, "print(1)") == run(later, "print(1)") == "1"


def test_forks_share_no_chance(kernel) -> None:
    code = (
        "import random, uuid, tempfile, numpy, secrets, os\n"
        "print(random.random(), uuid.uuid4(), tempfile.mktemp(), numpy.random.rand(), secrets.token_hex(8))"
    )
    one, other = (run(kernel(warm="wait"), code).split() for _ in range(2))
    assert len(one) == 5
    assert not set(one) & set(other)


def test_a_fork_is_what_a_fresh_kernel_is(kernel) -> None:
    code = """if True:
        import gc, os, sys, threading
        shell = get_ipython()
        print(shell.kernel is shell.parent)
        print(shell.config is shell.kernel.config, sorted(name for name, section in shell.config.items() if section))
        print(shell.profile_dir.location, shell.starting_dir, _dh)
        print([type(each).__name__ for each in shell.configurables], shell.history_manager.session_number)
        print(shell.log is shell.kernel.log, [getattr(each, "log", None) is shell.log for each in shell.configurables])
        print(sorted(shell.user_ns), sys.modules["__main__"] is shell.user_module, shell.sys_excepthook)
        print(sorted(os.environ), sys.path, sorted(each.name for each in threading.enumerate()))
        print(gc.isenabled(), sys.excepthook, sys.displayhook, type(sys.stdout), os.getcwd())
    """
    forked, fresh = kernel(warm="wait"), kernel(warm="off")
    assert how(forked) == "fork"
    found, wanted = (re.sub(r"0x[0-9a-f]+", "0x", run(manager, code)).splitlines() for manager in (forked, fresh))
    for one, other in zip(found, wanted, strict=True):
        assert one == other


def test_a_fork_has_the_arguments_of_its_client(kernel) -> None:
    manager = kernel(warm="wait", arguments=["--InteractiveShell.ast_node_interactivity=none"])
    assert how(manager) == "fork"
    assert run(manager, "get_ipython().ast_node_interactivity == 'none' and print('told')\n1 + 1") == "told"


def test_forks_do_not_see_each_other_nor_the_server(kernel, folder) -> None:
    one, other = kernel(warm="wait"), kernel(warm="wait")
    assert how(one) == how(other) == "fork"
    run(one, "open('/tmp/mine', 'w').write('x'); import os; os.environ['MINE'] = '1'")
    code = """if True:
        import os
        processes = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
        print(os.path.exists("/tmp/mine"), "MINE" in os.environ, processes, os.path.exists("/run/jupyter-containers"))
    """
    seen = run(other, code)
    assert seen == "False False [1, 2] False"


def test_the_server_is_no_container_of_the_users(kernel, user) -> None:
    manager = kernel(warm="wait")
    runtime = BundledRuntime(user, Store(user.store))
    shown = {state.id: state.kind for state in runtime.list()}
    assert shown[manager.provisioner.container.id] == "kernel"
    assert "forkserver" not in shown.values()
    assert "forkserver" in {state.kind for state in runtime.list(all=True)}


def test_a_server_that_ends_takes_its_forks_along_and_the_next_start_is_a_fresh_one(kernel, is_alive) -> None:
    manager = kernel(warm="wait")
    pid = manager.provisioner.container.state().pid
    warm.close_servers()
    deadline = time.monotonic() + 10
    while is_alive(pid) or manager.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    again = kernel(warm="on")
    assert how(again).startswith("fresh: ")
    assert run(again, "print(1)") == "1"


def test_modules_to_preload_are_there_before_the_first_cell(environment, kernel, user, monkeypatch) -> None:
    from jupyter_containers.kernels import launch

    original = launch.find_warm

    def with_preload(target, options):
        found = original(target, options)
        return found and type(found)(python=found.python, module=found.module, words=("numpy",), wait=found.wait)

    monkeypatch.setattr(launch, "find_warm", with_preload)
    assert run(kernel(warm="wait"), "import sys; print('numpy' in sys.modules)") == "True"


def test_a_module_that_cannot_be_preloaded_is_told(kernel, monkeypatch) -> None:
    from jupyter_containers.kernels import launch

    original = launch.find_warm

    def with_preload(target, options):
        found = original(target, options)
        return found and type(found)(python=found.python, module=found.module, words=("no_such",), wait=found.wait)

    monkeypatch.setattr(launch, "find_warm", with_preload)
    manager = kernel(warm="wait")
    assert how(manager).startswith("fresh: the fork server could not get ready: ModuleNotFoundError")
    assert run(manager, "print(1)") == "1"


def test_what_is_left_after_all_that_is_nothing(kernel, user) -> None:
    manager = kernel(warm="wait")
    path: Path = user.containers / manager.provisioner.container.id
    assert path.exists()
    manager.shutdown_kernel(now=True)
    warm.close_servers()
    deadline = time.monotonic() + 10
    while left := [name for name in os.listdir(user.containers) if name.startswith(path.name)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_the_first_process_of_a_fork_is_out_of_reach(kernel) -> None:
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
print(os.listdir("/proc/1"), libc.ptrace(16, 1, 0, 0), os.strerror(ctypes.get_errno()))
"""
    assert run(kernel(warm="wait"), code).strip() == "[] -1 Operation not permitted"
