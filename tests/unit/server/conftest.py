"""A server with the extension, on a runtime that runs nothing and a builder that does as it is told."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from types import SimpleNamespace

import pytest
from jupyter_client.provisioning import KernelProvisionerBase, KernelProvisionerFactory
from pytest_jupyter.jupyter_server import *  # noqa: F403  fixtures for this folder alone: one of them is autouse
from tornado.httpclient import HTTPClientError

from jupyter_containers.build.history import Recorder
from jupyter_containers.build.monitor import Event
from jupyter_containers.environments import Environments
from jupyter_containers.errors import CancelledError
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.fake import FakeRuntime
from jupyter_containers.server.app import ContainersExtension
from jupyter_containers.spec.catalog import Record, record

IMAGE = "sha256:" + "1" * 64

SPEC = 'name = "demo"\n[packages]\npip = ["numpy"]\n'


class ScriptedBuilder:
    """Builds when ``go`` is set; ``said`` is put out first, and ``error`` is how it ends if there is one."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()
        self.said: list[str] = []
        self.error: Exception | None = None
        self.options: list[dict] = []
        self.ended = threading.Event()

    def __call__(self, loaded, *, paths, monitor, cancel=None, build_id="", **options):
        self.options.append(options)
        name = loaded.spec.name
        try:
            with Recorder(
                paths, build_id=build_id, name=name, spec_file=str(loaded.folder), monitor=monitor
            ) as recorder:
                recorder(Event(kind="phase", phase="running"))
                for line in self.said:
                    recorder(Event(kind="output", text=line))
                self.began.set()
                while not self.go.wait(0.005):
                    if cancel.is_set():
                        raise CancelledError("the build was cancelled")
                if self.error is not None:
                    raise self.error
                recorder.finish(IMAGE)
        finally:
            self.ended.set()
        entry = Record(name=name, display_name=name, spec_file=str(loaded.folder), image=IMAGE, built_at=1.0)
        record(paths, entry)
        return SimpleNamespace(record=entry, image=SimpleNamespace(digest=IMAGE), build_id=build_id)


@pytest.fixture
def jp_server_config():
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_containers": True}},
        "ContainersExtension": {"install_kernelspecs": False},
    }


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONTAINERS_HOME", str(tmp_path / "containers-home"))
    monkeypatch.setenv("JUPYTER_CONTAINERS_RUNTIME_DIR", str(tmp_path / "containers-run"))
    return Paths.current()


@pytest.fixture
def runtime():
    return FakeRuntime()


@pytest.fixture
def builder():
    scripted = ScriptedBuilder()
    yield scripted
    scripted.go.set()


@pytest.fixture
def opened(paths, runtime, builder, monkeypatch):
    """Have the extension work on the fakes."""

    def open_environments(self):
        return Environments(paths, runtime, builder=builder, max_builds=self.max_builds, on_build=self._report_build)

    monkeypatch.setattr(ContainersExtension, "_open_environments", open_environments)


@pytest.fixture
def extension(opened, jp_serverapp) -> ContainersExtension:
    return jp_serverapp.extension_manager.extension_points["jupyter_containers"].app


@pytest.fixture
def spec(jp_root_dir):
    """The folder of a spec, in the server's root folder."""
    folder = jp_root_dir / "demo"
    folder.mkdir()
    (folder / "jupyter-container.toml").write_text(SPEC)
    return folder


@pytest.fixture
def api(extension, jp_fetch):
    """``await api("builds", method="POST", body={…})`` → (status, decoded body, headers); errors are answers too."""

    async def fetch(*parts, body=None, **options):
        if body is not None:
            options["body"] = body if isinstance(body, bytes | str) else json.dumps(body)
        elif options.get("method") == "POST":
            options["body"] = ""
        try:
            response = await jp_fetch("jupyter-containers", "api", *parts, **options)
        except HTTPClientError as error:
            assert error.response is not None, error
            response = error.response
        kind = response.headers.get("Content-Type", "")
        content = json.loads(response.body) if response.body and kind.startswith("application/json") else response.body
        return response.code, content, response.headers

    return fetch


class Provisioner(KernelProvisionerBase):
    """Starts as it is told: waits for ``go``, then runs a native kernel's like, or fails."""

    go: asyncio.Event
    error: Exception | None = None
    process: asyncio.subprocess.Process | None = None

    @property
    def has_process(self):
        return self.process is not None

    async def pre_launch(self, **kwargs):
        kwargs = await super().pre_launch(**kwargs)
        await type(self).go.wait()
        if type(self).error is not None:
            raise type(self).error
        manager = self.parent
        manager.write_connection_file()
        self.connection_info = manager.get_connection_info()
        return kwargs | {"cmd": manager.format_kernel_cmd()}

    async def launch_kernel(self, cmd, **kwargs):
        type(self).process = self.process = await asyncio.create_subprocess_exec(*cmd)
        return self.connection_info

    async def poll(self):
        return self.process.returncode

    async def wait(self):
        code = await self.process.wait()
        self.process = None
        return code

    async def send_signal(self, signum):
        if self.process.returncode is None:
            self.process.send_signal(signum)

    async def kill(self, restart=False):
        if self.process is not None and self.process.returncode is None:
            self.process.kill()

    async def terminate(self, restart=False):
        await self.kill()

    async def cleanup(self, restart=False):
        pass

    def cancel_start(self):
        type(self).error = CancelledError("cancelled")
        type(self).go.set()


@pytest.fixture
def kernel(extension, jp_serverapp, jp_data_dir, monkeypatch):
    """Kernel ``boxed``, whose provisioner is :class:`Provisioner`."""
    Provisioner.go, Provisioner.error, Provisioner.process = asyncio.Event(), None, None
    factory = KernelProvisionerFactory.instance(parent=jp_serverapp)
    entry = type("Entry", (), {"load": lambda self: Provisioner, "name": "jupyter-containers"})()
    monkeypatch.setitem(factory.provisioners, "jupyter-containers", entry)
    folder = jp_data_dir / "kernels" / "boxed"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    metadata = {"kernel_provisioner": {"provisioner_name": "jupyter-containers"}}
    content = {"argv": argv, "display_name": "Boxed", "language": "python", "metadata": metadata}
    (folder / "kernel.json").write_text(json.dumps(content))
    return Provisioner


@pytest.fixture
def start(jp_fetch):
    async def start():
        try:
            response = await jp_fetch("api", "kernels", method="POST", body=json.dumps({"name": "boxed"}))
        except HTTPClientError as error:
            return error.code, json.loads(error.response.body)
        return response.code, json.loads(response.body)

    return start
