"""Kernels that have been started ahead: who gets them, and what becomes of those that nobody takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from startkinds import how, run

from jupyter_containers.errors import LimitError
from jupyter_containers.image.store import Store
from jupyter_containers.kernels import kernelspec, launch, pool
from jupyter_containers.kernels.limits import current_policy
from jupyter_containers.runtime.bundled import BundledRuntime
from jupyter_containers.runtime.processes import find_main
from jupyter_containers.runtime.ready import current_shelf
from jupyter_containers.starts import Starts

pytestmark = [pytest.mark.network, pytest.mark.slow]

POOL = "pool: it is to share nothing with other kernels"


@pytest.fixture(autouse=True)
def nothing_ready(monkeypatch):
    """No test finds what another has left, and none waits for a quiet moment."""
    monkeypatch.setattr(pool, "QUIET", 0.0)
    monkeypatch.setattr(pool, "QUIET_FORK", 0.0)
    current_shelf().clear()
    yield
    current_shelf().clear()


@pytest.fixture
def kernel(environment, folder, launched):
    """Start a kernel with these options; all are gone at the end."""

    def start(*, notebook: str = "", cwd: Path = folder, **options) -> KernelManager:
        kernelspec.install(environment, **{"warm": "wait", "isolate": True, **options})
        manager = KernelManager(kernel_name=f"jc-{environment}")
        named = {"JPY_SESSION_NAME": notebook} if notebook else {}
        manager.start_kernel(cwd=str(cwd), env={**os.environ, **named})
        launched.append(manager)
        return manager

    return start


@pytest.fixture
def runtime(user) -> BundledRuntime:
    return BundledRuntime(user, Store(user.store))


@pytest.fixture
def await_pooled(runtime) -> Callable[..., str]:
    """The id of the one that waits now, once there is one, and it is none of *but*."""

    def wait(*but: str) -> str:
        deadline = time.monotonic() + 60
        while True:
            found = pool.current_pool().waiting
            if len(found) == 1 and found[0] not in but:
                state = runtime.find(found[0]).state()
                assert (state.kind, state.status) == ("pooled", "running" if state.start == "fork" else "paused")
                return found[0]
            assert time.monotonic() < deadline, found
            time.sleep(0.02)

    return wait


def test_the_first_is_fresh_and_the_next_is_of_the_pool(kernel, runtime, await_pooled) -> None:
    first = kernel(warm="on")
    assert how(first) == (
        "fresh: it is to share nothing with other kernels, and of the pool: none of its kind is ready yet"
    )
    waiting = await_pooled()
    assert waiting not in {state.id for state in runtime.list()}
    second = kernel(warm="on")
    assert how(second) == POOL and second.provisioner.container.id == waiting
    assert runtime.find(waiting).state().kind == "kernel" and waiting in {state.id for state in runtime.list()}
    third = await_pooled(waiting)
    assert run(first, "print(1)") == run(second, "print(1)") == "1"
    assert third not in {state.id for state in runtime.list()}


def test_it_is_what_a_fresh_kernel_is(kernel, folder) -> None:
    code = """if True:
        import os, sys, threading
        print(sorted(item for item in os.environ.items() if item[0] != "HOSTNAME"))
        print(sys.path, os.getcwd(), __session__, _dh)
        print(sorted(name for name in get_ipython().user_ns if name not in ("os", "sys", "threading")))
        print(len(In), get_ipython().execution_count, sorted(each.name for each in threading.enumerate()))
    """
    pooled = kernel(notebook=str(folder / "a b's.ipynb"))
    fresh = kernel(notebook=str(folder / "a b's.ipynb"), warm="off")
    assert (how(pooled), how(fresh)) == (POOL, "")
    assert run(pooled, code).splitlines() == run(fresh, code).splitlines()
    labels = [each.provisioner.container.state().labels for each in (pooled, fresh)]
    assert labels[0].keys() == labels[1].keys() and labels[0][launch.NOTEBOOK_LABEL].endswith("a b's.ipynb")


def test_only_one_that_sees_the_same_will_do(kernel, tmp_path, await_pooled) -> None:
    kernel()
    await_pooled()
    (tmp_path / "other").mkdir()
    assert "none of its kind" in how(kernel(warm="on", cwd=tmp_path / "other"))


def test_limits_are_those_that_were_chosen_last(kernel, await_pooled) -> None:
    try:
        kernel(memory="300M", pids=200)
    except LimitError as error:
        pytest.skip(f"this host can't limit: {error.message}")
    waiting = await_pooled()
    again = kernel(memory="200M", pids=200, warm="on")
    container = again.provisioner.container
    assert how(again) == POOL and container.id == waiting
    assert container.stats().memory_limit == 200 << 20
    assert {row.limit: row.asked for row in container.state().limits}["memory"] == 200 << 20
    assert "none of its kind" in how(kernel(pids=200, warm="on"))


def test_a_restarted_kernel_keeps_its_connection(kernel) -> None:
    manager = kernel()
    assert how(manager) == POOL
    manager.restart_kernel(now=True)
    assert "keeps its connection" in how(manager)
    assert run(manager, "print(1)") == "1"


def test_a_fork_waits_as_well(kernel, await_pooled, folder) -> None:
    assert how(kernel(isolate=False)) == "fork"
    waiting = await_pooled()
    second = kernel(isolate=False, notebook=str(folder / "second.ipynb"))
    assert (how(second), second.provisioner.container.id) == ("fork", waiting)
    assert run(second, "print(__session__)") == str(folder / "second.ipynb")
    third = kernel(isolate=False, pool=0)
    assert how(third) == "fork" and third.provisioner.container.config.ahead is False


def test_one_that_ends_is_replaced(kernel, runtime, await_pooled) -> None:
    kernel()
    waiting = await_pooled()
    runtime.find(waiting).kill()
    await_pooled(waiting)


@pytest.mark.parametrize("inner", [False, True])
def test_one_that_was_killed_while_it_was_paused_is_nobody_s(kernel, runtime, await_pooled, inner) -> None:
    kernel()
    waiting = await_pooled()
    first = runtime.find(waiting).state().pid
    os.kill(find_main(first).pid if inner else first, signal.SIGKILL)
    later = kernel()
    assert how(later) == POOL and later.provisioner.container.id != waiting
    assert run(later, "print(1)") == "1"


def test_where_none_can_be_forked_the_pool_has_some(kernel, monkeypatch) -> None:
    original = launch.find_warm

    def with_preload(target, options):
        found = original(target, options)
        return found and type(found)(python=found.python, module=found.module, words=("no_such",), wait=found.wait)

    monkeypatch.setattr(launch, "find_warm", with_preload)
    assert how(kernel(isolate=False)).startswith("fresh: the fork server could not get ready: ModuleNotFoundError")
    assert how(kernel(isolate=False)).startswith("pool: the fork server could not get ready: ModuleNotFoundError")


def test_kernels_that_outlive_their_server_are_of_the_pool(kernel, user, monkeypatch) -> None:
    monkeypatch.setattr(current_policy(), "outlive", 60)
    manager = kernel(isolate=False)
    container = manager.provisioner.container
    assert how(manager).startswith("pool: it can outlive") and container.config.outlive == 60
    assert not (user.containers / container.id / "ahead").exists()
    assert run(manager, "print(1)") == "1"


OWNER = """
import os, sys, time
from jupyter_client.manager import KernelManager
from jupyter_containers.kernels import pool
from jupyter_containers.kernels.limits import current_policy
pool.QUIET = pool.QUIET_FORK = 0.0
current_policy().outlive = int(sys.argv[2])
manager = KernelManager(kernel_name=sys.argv[1])
manager.start_kernel(cwd=os.getcwd())
while not (waiting := pool.current_pool().waiting):
    time.sleep(0.02)
print(waiting[0], manager.provisioner.container.id, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(("outlive", "isolate"), [(0, True), (600, True), (0, False)])
def test_a_server_that_is_killed_leaves_none(
    kernel, environment, runtime, user, folder, is_alive, outlive, isolate
) -> None:
    kernelspec.install(environment, warm="on", isolate=isolate)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, f"jc-{environment}", str(outlive)], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    assert owner.stdout is not None
    waiting, used = owner.stdout.readline().split()
    pid = runtime.find(waiting).state().pid
    scratch = Path(runtime.find(waiting).config.scratch[0])
    assert scratch.is_dir()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 30
    while is_alive(pid) or scratch.exists() or (user.containers / waiting).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if outlive:
        assert runtime.find(used).state().status == "running"
        runtime.find(used).remove(force=True)


def test_how_kernels_start_is_told(kernel, environment, runtime, user, await_pooled) -> None:
    starts = Starts(user, runtime.store, runtime=lambda: runtime)
    kernelspec.install(environment)
    assert (starts.find(environment).kind, starts.find(environment).reason) == ("fresh", "`warm` is off")
    kernelspec.install(environment, warm="on")
    assert (starts.find(environment).kind, starts.find(environment).reason) == ("fork", "")
    kernel()
    await_pooled()
    found = starts.find(environment)
    assert found.ready >= 1  # those of whoever else has this home as well
    assert (found.kind, found.reason) == ("pool", "it is to share nothing with other kernels")
    assert starts.look("no-such") is None
