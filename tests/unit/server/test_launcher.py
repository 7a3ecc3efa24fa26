"""Environments appear in the launcher, and kernels that wait for a build are answered in time."""

from __future__ import annotations

import asyncio
import json
import resource

import pytest
import zmq
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.httpclient import HTTPClientError

from jupyter_containers.errors import KernelError
from jupyter_containers.kernels.dynamic import ContainerKernelSpecMixin
from jupyter_containers.server.starting import PendingStartsMixin


class OwnSpecs(KernelSpecManager):
    pass


async def test_environment_in_the_list(extension, jp_fetch, spec):
    response = await jp_fetch("api", "kernelspecs")
    assert "jc-demo" in json.loads(response.body)["kernelspecs"]


class TestPatience:
    @pytest.fixture
    def jp_server_config(self, jp_server_config):
        jp_server_config["PendingStartsMixin"] = {"start_patience": 3}
        return jp_server_config

    async def test_is_configured(self, extension, jp_serverapp):
        assert jp_serverapp.kernel_manager.start_patience == 3


async def test_kernels_go_on_as_configured(extension, jp_serverapp):
    assert isinstance(jp_serverapp.kernel_spec_manager, ContainerKernelSpecMixin)
    assert isinstance(jp_serverapp.kernel_manager, PendingStartsMixin)
    assert isinstance(jp_serverapp.kernel_manager, AsyncMappingKernelManager)


class TestOwnClass:
    @pytest.fixture
    def jp_server_config(self, jp_server_config):
        jp_server_config["ServerApp"]["kernel_spec_manager_class"] = OwnSpecs
        jp_server_config["OwnSpecs"] = {"ensure_native_kernel": False}
        jp_server_config["AsyncMappingKernelManager"] = {"use_pending_kernels": True, "cull_interval": 77}
        return jp_server_config

    async def test_is_kept_and_configured(self, extension, jp_serverapp, jp_fetch, spec):
        manager = jp_serverapp.kernel_spec_manager
        assert isinstance(manager, OwnSpecs)
        assert isinstance(manager, ContainerKernelSpecMixin)
        assert manager.ensure_native_kernel is False
        kernels = jp_serverapp.kernel_manager
        assert (kernels.use_pending_kernels, kernels.cull_interval) == (True, 77)
        assert not isinstance(kernels, PendingStartsMixin)


class TestSwitchedOff:
    @pytest.fixture
    def jp_server_config(self, jp_server_config):
        jp_server_config["ContainersExtension"]["dynamic_kernels"] = False
        return jp_server_config

    async def test_nothing_is_combined(self, extension, jp_serverapp):
        assert type(jp_serverapp.kernel_spec_manager) is KernelSpecManager
        assert type(jp_serverapp.kernel_manager) is AsyncMappingKernelManager


async def test_quick_start(kernel, start, jp_serverapp):
    kernel.go.set()
    status, model = await start()
    assert status == 201
    manager = jp_serverapp.kernel_manager
    assert manager.get_kernel(model["id"]).ready.done()
    assert manager.get_kernel(model["id"])._activity_stream is not None
    await manager.shutdown_kernel(model["id"], now=True)
    assert model["id"] not in manager


async def test_quick_failure_is_told_to_who_started_it(kernel, start, jp_serverapp, jp_fetch):
    kernel.error = KernelError("no ipykernel in the image", hint="add it to the spec")
    kernel.go.set()
    status, body = await start()
    assert status == 500
    assert body["message"] == "no ipykernel in the image\n  hint: add it to the spec"
    session = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "boxed"}}
    with pytest.raises(HTTPClientError) as refused:  # what JupyterLab asks, and shows
        await jp_fetch("api", "sessions", method="POST", body=json.dumps(session))
    assert json.loads(refused.value.response.body)["message"] == body["message"]
    assert jp_serverapp.kernel_manager.list_kernel_ids() == []


async def test_start_that_waits_for_a_build(kernel, start, jp_serverapp, jp_fetch, monkeypatch):
    manager = jp_serverapp.kernel_manager
    monkeypatch.setattr(manager, "start_patience", 0.01)
    status, model = await start()
    assert (status, model["execution_state"]) == (201, "starting")
    assert not manager.get_kernel(model["id"]).ready.done()
    assert json.loads((await jp_fetch("api", "kernels")).body)[0]["id"] == model["id"]
    kernel.go.set()
    await asyncio.wrap_future(manager.get_kernel(model["id"]).ready)
    assert kernel.process.returncode is None
    await manager.shutdown_kernel(model["id"], now=True)


async def test_start_that_fails_after_it_was_answered(
    kernel, start, jp_serverapp, jp_fetch, jp_ws_fetch, monkeypatch, caplog
):
    manager = jp_serverapp.kernel_manager
    monkeypatch.setattr(manager, "start_patience", 0.01)
    _, model = await start()
    assert model["execution_state"] == "starting"
    monkeypatch.setattr(kernel, "error", KernelError("no ipykernel in the image"))
    kernel.go.set()
    with pytest.raises(KernelError):
        await asyncio.wrap_future(manager.get_kernel(model["id"]).ready)
    told = json.loads((await jp_fetch("api", "kernels", model["id"])).body)
    assert (told["execution_state"], told["reason"]) == ("dead", "no ipykernel in the image")
    caplog.clear()
    with caplog.at_level("WARNING"), pytest.raises(HTTPClientError) as refused:
        await jp_ws_fetch("api", "kernels", model["id"], "channels")
    assert refused.value.code == 410
    assert "the kernel did not start: no ipykernel in the image" in caplog.text
    assert "Traceback" not in caplog.text and "ERROR" not in [record.levelname for record in caplog.records]
    await manager.shutdown_kernel(model["id"], now=True)


async def test_shutdown_while_it_waits(kernel, start, jp_serverapp, jp_fetch, monkeypatch):
    manager = jp_serverapp.kernel_manager
    monkeypatch.setattr(manager, "start_patience", 0.01)
    _, model = await start()
    response = await jp_fetch("api", "kernels", model["id"], method="DELETE")
    assert response.code == 204
    assert kernel.process is None
    assert model["id"] not in manager


async def test_shutdown_of_a_start_that_hangs(kernel, start, jp_serverapp, monkeypatch):
    """The server's end does not wait for it either."""
    manager = jp_serverapp.kernel_manager
    monkeypatch.setattr(manager, "start_patience", 0.01)
    monkeypatch.setattr("jupyter_containers.server.starting.END_PATIENCE", 0.01)
    monkeypatch.setattr(kernel, "cancel_start", lambda self: None)
    _, model = await start()
    await manager.shutdown_all(now=True)
    assert model["id"] not in manager
    assert kernel.process is None


@pytest.mark.parametrize("hangs", [False, True])
async def test_shutdown_while_it_restarts_by_itself(kernel, start, jp_serverapp, jp_fetch, monkeypatch, hangs):
    """jupyter_client asks for the outcome of a restart that has none yet, and fails."""
    monkeypatch.setattr("jupyter_containers.server.starting.END_PATIENCE", 0.1)
    if hangs:
        monkeypatch.setattr(kernel, "cancel_start", lambda self: None)
    kernel.go.set()
    _, model = await start()
    kernel.go.clear()
    manager = jp_serverapp.kernel_manager
    made = manager.get_kernel(model["id"])
    restart = asyncio.ensure_future(made.restart_kernel(now=True))
    while made.ready.done():
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert not made.ready.done()
    response = await jp_fetch("api", "kernels", model["id"], method="DELETE")
    assert response.code == 204
    assert model["id"] not in manager
    restart.cancel()
    await asyncio.wait({restart})
    assert kernel.process is None or kernel.process.returncode is not None


@pytest.fixture
def many_files():
    """A socket takes a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_server_has_more_than_a_thousand_sockets_for_its_kernels(jp_serverapp, many_files):
    """libzmq's default is 1023, and its error "Too many open files"."""
    context = jp_serverapp.kernel_manager.context
    sockets = []
    try:
        for _ in range(1100):
            sockets.append(context.socket(zmq.DEALER))
    finally:
        for socket in sockets:
            socket.close(linger=0)
    assert len(sockets) == 1100
