"""Kernels that go on when their server ends, however it does, and come back with their notebooks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking import BlockingKernelClient

pytestmark = [pytest.mark.network, pytest.mark.slow]


KERNEL_ID = "org.jupyter-containers.kernel-id"


class Server:
    """A server of its own process."""

    def __init__(self, root: Path, data: Path, env: dict[str, str], *options: str) -> None:
        self.runtime = Path(env["JUPYTER_RUNTIME_DIR"])
        self.log = (data / "log").open("ab")
        root_option = ["--allow-root"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyter_server", "--no-browser", "--ServerApp.port=0",
                f"--ServerApp.root_dir={root}",
                "--ServerApp.jpserver_extensions=jupyter_containers=True", "--IdentityProvider.token=secret",
                "--ContainersExtension.install_kernelspecs=False", *root_option, *options,
            ],
            env=env, cwd=root, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        file = self.runtime / f"jpserver-{self.process.pid}.json"
        deadline = time.monotonic() + 60
        while True:
            try:
                self.url = json.loads(file.read_text())["url"]
                self.ask("GET", "api/status")
                return
            except (OSError, ValueError):
                assert self.process.poll() is None, (data / "log").read_text()
                assert time.monotonic() < deadline, (data / "log").read_text()
                time.sleep(0.05)

    def ask(self, method: str, path: str, body: object = None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "token secret"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def open(self, path: str) -> str:
        """A notebook's kernel."""
        body = {"path": path, "name": Path(path).name, "type": "notebook", "kernel": {"name": "jc-small"}}
        return self.ask("POST", "api/sessions", body)["kernel"]["id"]

    def run(self, kernel: str, code: str) -> str:
        client = BlockingKernelClient(connection_file=str(self.runtime / f"kernel-{kernel}.json"))
        client.load_connection_file()
        client.hb_channel.time_to_dead = 60  # else a busy host's kernel counts as dead after a second
        client.start_channels()
        client.wait_for_ready(timeout=60)
        said: list[str] = []

        def keep(message) -> None:
            if message["msg_type"] == "stream":
                said.append(message["content"]["text"])

        reply = client.execute_interactive(code, timeout=60, output_hook=keep)
        client.stop_channels()
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(said).strip()

    def containers(self) -> list[dict]:
        return self.ask("GET", "jupyter-containers/api/containers")

    def end(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)
        self.log.close()


@pytest.fixture
def serve(shared_home, small_environment, tmp_path) -> Iterator:
    """``serve("10m")``: start a server that keeps its kernels so long; without: that has the default."""
    root = tmp_path / "notebooks"
    root.mkdir()
    env = {key: value for key, value in os.environ.items() if not key.startswith(("JPY_", "JUPYTER_"))}
    env |= {
        "JUPYTER_CONTAINERS_HOME": str(shared_home.home), "JUPYTER_CONTAINERS_RUNTIME_DIR": str(shared_home.runtime),
        **{f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("DATA", "CONFIG", "RUNTIME")},
    }  # fmt: skip
    servers: list[Server] = []

    def make(keep: str = "") -> Server:
        options = [f"--ContainersExtension.keep_kernels_for={keep}"] if keep else []
        servers.append(Server(root, tmp_path, env, *options))
        return servers[-1]

    yield make
    last = servers[-1]
    if last.process.poll() is None:
        for kernel in last.ask("GET", "api/kernels"):
            last.ask("DELETE", f"api/kernels/{kernel['id']}")
        last.end(signal.SIGTERM)


def gone(folder: Path, pid: int, *, timeout: float = 40) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not folder.exists() and not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def test_a_kernel_goes_on_with_the_next_server(serve, shared_home):
    """However the one before has ended."""
    first = serve("5m")
    kernel = first.open("work.ipynb")
    (container,) = [each for each in first.containers() if each["labels"].get(KERNEL_ID) == kernel]
    assert first.run(kernel, "kept = 41; print('set')") == "set"
    record = shared_home.containers / container["id"] / "kernel.json"
    deadline = time.monotonic() + 30
    while not json.loads(record.read_text())["sessions"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert record.stat().st_mode & 0o777 == 0o600
    server = first
    for number in (signal.SIGTERM, signal.SIGKILL):
        server.end(number)
        server = serve("5m")
        deadline = time.monotonic() + 30
        while not (sessions := server.ask("GET", "api/sessions")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        found = [(each["path"], each["kernel"]["id"], each["kernel"]["name"]) for each in sessions]
        assert found == [("work.ipynb", kernel, "jc-small")]
        assert server.run(kernel, "kept += 1; print(kept)") == ("42" if number == signal.SIGTERM else "43")
    server.ask("POST", f"api/kernels/{kernel}/restart")
    assert server.run(kernel, "print('kept' in globals())") == "False"
    (again,) = [each for each in server.containers() if each["labels"].get(KERNEL_ID) == kernel]
    assert again["id"] != container["id"]
    server.ask("DELETE", f"api/kernels/{kernel}")
    assert gone(shared_home.containers / again["id"], again["pid"])


def test_nobody_comes(serve, shared_home):
    """The monitor ends it, and nothing is left."""
    server = serve("2s")
    kernel = server.open("work.ipynb")
    (container,) = [each for each in server.containers() if each["labels"].get(KERNEL_ID) == kernel]
    config = json.loads((shared_home.containers / container["id"] / "config.json").read_text())
    (scratch,) = map(Path, config["scratch"])
    assert (scratch / "connection.json").exists()
    time.sleep(3)  # longer than that, with its server: nothing happens
    assert server.run(kernel, "print(1)") == "1"
    server.end(signal.SIGKILL)
    assert gone(shared_home.containers / container["id"], container["pid"])
    assert not scratch.exists()


def test_without_the_setting_a_killed_server_leaves_nothing(serve, shared_home):
    server = serve()
    server.open("work.ipynb")
    (container,) = [each for each in server.containers() if each["image_name"] == "small"]
    server.end(signal.SIGKILL)
    assert gone(shared_home.containers / container["id"], container["pid"])
