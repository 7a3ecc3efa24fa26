"""What is done to kernels in a soak: each way that a kernel, or what stands behind it, can go on and end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from .served import TIMEOUT, Client, ServedKernel, Server
from .setup import Bench

__all__ = ["ELSEWHERE", "SERVED", "WAYS", "Kernels", "OwnKernel", "Way", "kept_ready", "started_as"]


class Kernels(NamedTuple):
    """Names of kernelspecs, by how their kernels start."""

    fresh: str
    fork: str
    pool: str


PATIENCE = 30.0

OWNER = """
import os, signal, sys
from jupyter_client.manager import KernelManager
for _ in range(2):
    manager = KernelManager(kernel_name=sys.argv[1])
    manager.start_kernel(cwd=sys.argv[2])
    print(manager.provisioner.container.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class OwnKernel(Client):
    """A kernel that this process itself has started."""

    def __init__(self, kernel: str, folder: Path) -> None:
        from jupyter_client.manager import KernelManager

        self.kernel = kernel
        self.manager = KernelManager(kernel_name=kernel)
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.connect()

    @property
    def container(self) -> Any:
        return self.manager.provisioner.container

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def restart(self, *, now: bool) -> None:
        self.manager.restart_kernel(now=now)
        self.client.wait_for_ready(timeout=TIMEOUT)

    def comes_back(self) -> None:
        self.restart(now=True)  # nobody does it for those who have no server

    def close(self, *, now: bool = False) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=now)
        self.manager.context.destroy(linger=0)


Kernel = OwnKernel | ServedKernel
Way = Callable[[Any], None]


def check(kernel: Kernel) -> None:
    for _ in range(2):  # what was sent before it came back may have been refused
        if (reply := kernel.run("1 + 1"))["status"] == "ok":
            return
    raise AssertionError(reply)


def started_as(kernel: Kernel) -> str:
    """How it was started in the end: ``fresh``, ``fork`` or ``pool``."""
    start: str = kernel.container.state().start
    return start.partition(":")[0] or "fresh"


def nothing(kernel: Kernel) -> None:
    pass


def interrupt(kernel: Kernel) -> None:
    request = kernel.begin("print(1, flush=True)\nimport time; time.sleep(1000)")
    kernel.interrupt()
    while (reply := kernel.client.get_shell_msg(timeout=TIMEOUT))["parent_header"]["msg_id"] != request:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt", reply["content"]
    check(kernel)


def restart(kernel: Kernel) -> None:
    kernel.restart(now=random.random() < 0.5)
    check(kernel)


def restart_busy(kernel: Kernel) -> None:
    kernel.begin(
        "print(1, flush=True)\nimport time\nwhile True:\n  try: time.sleep(1000)\n  except BaseException: pass"
    )
    kernel.restart(now=True)
    check(kernel)


def ended(container: Any) -> int:
    """The exit code of a container that ends, also where its server was quicker to remove it: then -1."""
    from jupyter_containers.errors import NotFoundError

    try:
        code: int = container.wait(TIMEOUT)
    except NotFoundError:
        return -1
    return code


def kill(kernel: Kernel) -> None:
    container = kernel.container
    container.kill()
    assert ended(container) in (128 + signal.SIGKILL, -1)


def crash(kernel: Kernel) -> None:
    container = kernel.container
    kernel.client.execute("import os; os._exit(3)")
    assert ended(container) in (3, -1)


def crash_and_come_back(kernel: Kernel) -> None:
    before = kernel.container
    kernel.client.execute("import os; os._exit(3)")
    assert ended(before) in (3, -1)
    kernel.comes_back()
    check(kernel)


def _kill_process(kernel: Kernel, pid: int) -> None:
    container = kernel.container
    os.kill(pid, signal.SIGKILL)
    ended(container)


def kill_program(kernel: Kernel) -> None:
    """The kernel's own process."""
    from jupyter_containers.runtime.processes import find_main

    main = find_main(kernel.container.state().pid)
    assert main is not None
    _kill_process(kernel, main.pid)


def kill_first(kernel: Kernel) -> None:
    """Pid 1 of the container."""
    _kill_process(kernel, kernel.container.state().pid)


def kill_outer(kernel: Kernel) -> None:
    """What supervises it from outside: bwrap; of a fork it is pid 1 again."""
    from jupyter_containers.paths import Paths

    state = json.loads((Paths.current().containers / kernel.container.id / "state.json").read_text())
    _kill_process(kernel, state["process"][0])


def _owner(kernel: Kernel) -> psutil.Process:
    """Of what stands behind *kernel*: this process, or its server."""
    return psutil.Process(kernel._server.process.pid) if isinstance(kernel, ServedKernel) else psutil.Process()


def _helpers(kernel: Kernel, word: str) -> list[psutil.Process]:
    found = []
    for process in _owner(kernel).children():
        try:
            if any(word in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kept_ready(kind: str, owner: int) -> list[int]:
    """First processes of the containers of *kind*, ``forkserver`` or ``pooled``, that process *owner* keeps ready."""
    from jupyter_containers.image.store import Store
    from jupyter_containers.paths import Paths
    from jupyter_containers.runtime.bundled import BundledRuntime

    paths = Paths.current()
    found = []
    for state in BundledRuntime(paths, Store(paths.store)).list(all=True):
        with contextlib.suppress(FileNotFoundError):  # it has just gone
            kept = json.loads((paths.containers / state.id / "state.json").read_text())
            if state.kind == kind and state.pid and kept["keeper"][0] == owner:
                found.append(state.pid)
    return found


def _kill_ready(kernel: Kernel, kind: str) -> None:
    """Kill what the owner of *kernel* keeps ready of that *kind*."""
    for pid in kept_ready(kind, _owner(kernel).pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_fork_servers(kernel: Kernel) -> None:
    """With them all of their forks."""
    container, forked = kernel.container, started_as(kernel) == "fork"
    _kill_ready(kernel, "forkserver")
    if forked:
        ended(container)
        kernel.comes_back()
    check(kernel)


def kill_waiting(kernel: Kernel) -> None:
    """Those that have been started ahead: the next start has another one."""
    _kill_ready(kernel, "pooled")
    kernel.restart(now=True)
    check(kernel)


def kill_launcher(kernel: Kernel) -> None:
    """What starts containers as root, and makes the mounts of forks: the next start has another one."""
    for process in _helpers(kernel, "sandbox.service"):
        process.kill()
    kernel.restart(now=True)
    check(kernel)


def kill_reaper(kernel: Kernel) -> None:
    """What removes the containers of an owner that was killed: the next start has another one."""
    for process in _helpers(kernel, "runtime/reaper.py"):
        process.kill()
    kernel.restart(now=True)
    check(kernel)


def run_out_of_memory(kernel: Kernel) -> None:
    container = kernel.container
    container.update({"memory": float(container.stats().memory + (64 << 20))})
    kernel.client.execute("x = bytearray(512 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1")
    code = ended(container)
    assert code in (128 + signal.SIGKILL, -1), code
    if code > 0 and isinstance(kernel, OwnKernel):
        assert container.state().oom, container.state()


def remove(kernel: Kernel) -> None:
    """As `jupyter containers rm -f` does."""
    kernel.container.remove(force=True)


def remove_and_come_back(kernel: Kernel) -> None:
    kernel.container.remove(force=True)
    kernel.comes_back()
    check(kernel)


def pause_and_end(kernel: Kernel) -> None:
    kernel.container.pause()


def pause_and_kill(kernel: Kernel) -> None:
    kernel.container.pause()
    kernel.container.kill()


def leave_processes(kernel: Kernel) -> None:
    code = "import subprocess\nfor _ in range(5): subprocess.Popen(['sleep', '1000'], start_new_session=True)"
    assert kernel.run(code)["status"] == "ok"


def exec_in_it(kernel: Kernel) -> None:
    command = kernel.container.exec_argv(["/bin/sh", "-c", "echo; sleep 1000"])
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        kernel.container.kill()
        process.wait(TIMEOUT)


def write_much(kernel: Kernel) -> None:
    code = "import os\nfor n in range(200): open(os.path.expanduser(f'~/f{n}'), 'w').write('x' * 100_000)"
    assert kernel.run(code)["status"] == "ok"


WAYS: tuple[Way, ...] = (
    nothing, interrupt, restart, restart_busy, kill, crash, crash_and_come_back, kill_program, kill_first, kill_outer,
    kill_fork_servers, kill_waiting, kill_launcher, kill_reaper, run_out_of_memory, pause_and_end, pause_and_kill,
    leave_processes, exec_in_it, write_much, remove, remove_and_come_back,
)  # fmt: skip
"""For each kernel."""


def change_and_end(kernel: ServedKernel) -> None:
    """A notebook's kernel is changed, and the notebook closed while that goes on."""
    server, session = kernel._server, kernel.session["id"]
    with ThreadPoolExecutor(2) as pool:
        body = {"kernel": {"name": kernel.kernel}}
        calls = [("PATCH", body), ("DELETE", None)]
        done = [pool.submit(server.ask, method, f"api/sessions/{session}", body) for method, body in calls]
        for call in done:
            try:
                call.result()
            except urllib.error.HTTPError as error:
                if error.code not in (404, 501):
                    raise
    left = [each["id"] for each in server.ask("GET", "api/kernels")]
    owned = [each["kernel"]["id"] for each in server.ask("GET", "api/sessions")]
    assert sorted(left) == sorted(owned), (left, owned)
    for each in server.ask("GET", "api/sessions"):
        server.ask("DELETE", f"api/sessions/{each['id']}")


SERVED: tuple[Way, ...] = (change_and_end,)
"""For those of a server."""


# Rounds that have processes of their own; each returns the containers that it had.


def killed_owner(kernels: Kernels, folder: Path, bench: Bench) -> list[str]:
    """Another process starts two kernels, and is killed with them."""
    done = subprocess.run(
        [sys.executable, "-c", OWNER, random.choice(kernels), str(folder)],
        capture_output=True, text=True, timeout=2 * TIMEOUT,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.split()


def detached(kernels: Kernels, folder: Path, bench: Bench) -> list[str]:
    """A container with a monitor, stopped and removed."""
    container = bench.cli("run", "-d", kernels.fresh.removeprefix("jc-"), "sleep", "1000").strip()
    bench.cli("stop", "-t", "0.1", container)
    bench.cli("rm", container)
    return [container]


def _serve(folder: Path, files: str, *, keep: str = "") -> Server:
    return Server(folder, Path(files), dict(os.environ), keep=keep)


def _open(server: Server, kernels: Iterable[str]) -> tuple[list[str], list[str]]:
    """A notebook for each of *kernels*: ids of the kernels, and of their containers."""
    ids = []
    for number, kernel in enumerate(kernels):
        name = f"{number}.ipynb"
        body = {"path": name, "name": name, "type": "notebook", "kernel": {"name": kernel}}
        ids.append(server.ask("POST", "api/sessions", body)["kernel"]["id"])
    return ids, [server.container(kernel)["id"] for kernel in ids]


def end_of_a_server(kernels: Kernels, folder: Path, bench: Bench, *, number: int = signal.SIGTERM) -> list[str]:
    with tempfile.TemporaryDirectory() as files:
        server = _serve(folder, files)
        _, containers = _open(server, kernels)
        server.end(number)
    return containers


def killed_server(kernels: Kernels, folder: Path, bench: Bench) -> list[str]:
    return end_of_a_server(kernels, folder, bench, number=signal.SIGKILL)


def kernels_that_stay(kernels: Kernels, folder: Path, bench: Bench) -> list[str]:
    """Two servers go, one of them by ``kill -9``; the third has the kernels, and ends them."""
    numbers = [signal.SIGTERM, signal.SIGKILL]
    random.shuffle(numbers)
    with tempfile.TemporaryDirectory() as files:
        server = _serve(folder, files, keep="5m")
        ids, containers = _open(server, kernels)
        for number in numbers:
            deadline = time.monotonic() + PATIENCE
            while len(_noted(containers)) < len(containers) and time.monotonic() < deadline:
                time.sleep(0.05)  # a kill -9 loses what was not written down
            server.end(number)
            server = _serve(folder, files, keep="5m")
            while len(found := server.ask("GET", "api/sessions")) < len(ids) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert sorted(each["kernel"]["id"] for each in found) == sorted(ids), (found, number)
        for each in found:
            server.ask("DELETE", f"api/sessions/{each['id']}")
        server.end(signal.SIGTERM)
    return containers


def _noted(containers: Iterable[str]) -> list[str]:
    from jupyter_containers.paths import Paths

    place = Paths.current().containers
    return [each for each in containers if json.loads((place / each / "kernel.json").read_text())["sessions"]]


def nobody_comes(kernels: Kernels, folder: Path, bench: Bench) -> list[str]:
    """Kernels that would wait for the next server, for a second."""
    with tempfile.TemporaryDirectory() as files:
        server = _serve(folder, files, keep="1s")
        _, containers = _open(server, kernels)
        server.end(random.choice([signal.SIGTERM, signal.SIGKILL]))
    return containers


ELSEWHERE: tuple[Callable[[Kernels, Path, Bench], list[str]], ...] = (
    killed_owner, detached, end_of_a_server, killed_server, kernels_that_stay, nobody_comes,
)  # fmt: skip
