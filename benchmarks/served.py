"""Servers with our extension as processes, and kernels that are started and ended by their REST interface."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT = 60.0
_KERNEL = "org.jupyter-containers.kernel-id"


class Server:
    """A server of its own process, in *env*'s home. Its files lie in *folder*, its notebooks in *root*."""

    def __init__(self, root: Path, folder: Path, env: dict[str, str], *, keep: str = "") -> None:
        self.root, self.folder = root, folder
        self.runtime = folder / "jupyter"
        own = {"JUPYTER_RUNTIME_DIR": str(self.runtime), "JUPYTER_CONFIG_DIR": str(folder / "config")}
        options = [f"--ContainersExtension.keep_kernels_for={keep}"] if keep else []
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "jupyter_server", "--no-browser", "--ServerApp.port=0",
                    f"--ServerApp.root_dir={root}", "--ServerApp.jpserver_extensions=jupyter_containers=True",
                    "--IdentityProvider.token=secret", "--ContainersExtension.install_kernelspecs=False",
                    *(["--allow-root"] if os.geteuid() == 0 else []), *options,
                ],
                env=env | own, cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        told = self.runtime / f"jpserver-{self.process.pid}.json"
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self.url = json.loads(told.read_text())["url"]
                self.ask("GET", "api/status")
                return
            except (OSError, ValueError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"no server: {(folder / 'log').read_text()[-3000:]}") from None
                time.sleep(0.05)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "token secret"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def container(self, kernel: str, *, other: str = "") -> dict[str, Any]:
        """The state of the kernel's container, once it has one that is not *other*."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            for state in self.ask("GET", "jupyter-containers/api/containers"):
                if state["labels"].get(_KERNEL) == kernel and state["id"] != other:
                    found: dict[str, Any] = state
                    return found
            time.sleep(0.05)
        raise AssertionError(f"kernel {kernel} has no container")

    def end(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(TIMEOUT)


class Client:
    """Runs cells in a kernel; ``self.client`` is jupyter_client's, blocking."""

    client: Any

    def connect(self) -> None:
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT)

    def run(self, code: str) -> dict[str, Any]:
        reply: dict[str, Any] = self.client.execute_interactive(
            code, timeout=TIMEOUT, output_hook=lambda message: None
        )["content"]
        return reply

    def begin(self, code: str) -> str:
        """Have *code* run, and return once it does."""
        request: str = self.client.execute(code, stop_on_error=False)  # else what is sent right after it is refused
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT)
            if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == request:
                return request


class ServedKernel(Client):
    """A notebook's kernel."""

    def __init__(self, server: Server, kernel: str) -> None:
        from jupyter_containers.environments import Environments

        self._server, self._environments = server, Environments()
        name = f"{os.urandom(4).hex()}.ipynb"
        body = {"path": name, "name": name, "type": "notebook", "kernel": {"name": kernel}}
        self.session = server.ask("POST", "api/sessions", body)
        self.id: str = self.session["kernel"]["id"]
        self.kernel = kernel
        self._find("")
        self.attach()

    def attach(self) -> None:
        from jupyter_client.blocking.client import BlockingKernelClient

        file = self._server.runtime / f"kernel-{self.id}.json"
        self.client = BlockingKernelClient(connection_file=str(file))
        self.client.load_connection_file()
        self.client.hb_channel.time_to_dead = TIMEOUT  # else a busy host's kernel counts as dead after a second
        self.connect()

    def interrupt(self) -> None:
        self._server.ask("POST", f"api/kernels/{self.id}/interrupt")

    def restart(self, *, now: bool) -> None:
        before = self.container.id
        self._server.ask("POST", f"api/kernels/{self.id}/restart")
        self._find(before)
        self.client.wait_for_ready(timeout=TIMEOUT)

    def comes_back(self) -> None:
        """By itself, after its end."""
        self._find(self.container.id)
        self.client.wait_for_ready(timeout=TIMEOUT)

    def close(self, *, now: bool = False) -> None:
        self.client.stop_channels()
        try:
            self._server.ask("DELETE", f"api/kernels/{self.id}" if now else f"api/sessions/{self.session['id']}")
        except urllib.error.HTTPError as error:
            if error.code != 404:  # of a kernel that has died too often
                raise

    def _find(self, other: str) -> None:
        self.container = self._environments.container(self._server.container(self.id, other=other)["id"])


def stop(server: Server) -> None:
    server.end(signal.SIGTERM)
