"""A server in this process on the real runtime, in the home that all integration tests share."""

from __future__ import annotations

import json
import uuid

import pytest
from pytest_jupyter.jupyter_server import *  # noqa: F403  fixtures for this folder alone: one of them is autouse


@pytest.fixture
def home(shared_home, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONTAINERS_HOME", str(shared_home.home))
    monkeypatch.setenv("JUPYTER_CONTAINERS_RUNTIME_DIR", str(shared_home.runtime))
    return shared_home


@pytest.fixture
def jp_server_config():
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_containers": True}},
        "ContainersExtension": {"install_kernelspecs": False},
    }


@pytest.fixture
def server(home, jp_serverapp):
    return jp_serverapp


@pytest.fixture
def ask(server, jp_fetch):
    """``await ask("POST", "api/kernels", {…})`` → decoded body; an error's is raised."""

    async def ask(method: str, path: str, body: object = None, **params: str):
        data = json.dumps(body) if body is not None else "" if method == "POST" else None
        response = await jp_fetch(*path.split("/"), method=method, body=data, params=params, request_timeout=300)
        return json.loads(response.body) if response.body else None

    return ask


@pytest.fixture
def execute(server, jp_ws_fetch):
    """``await execute(kernel_id, code)`` → the text that the code printed, by the kernel's websocket."""

    async def execute(kernel_id: str, *codes: str) -> list[str]:
        socket = await jp_ws_fetch("api", "kernels", kernel_id, "channels")
        requests = [uuid.uuid4().hex for _ in codes]
        for request, code in zip(requests, codes, strict=True):
            header = {
                "msg_id": request,
                "msg_type": "execute_request",
                "session": "s",
                "username": "",
                "version": "5.3",
            }
            content = {"code": code, "silent": False}
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
            await socket.write_message(json.dumps(message))
        printed = dict.fromkeys(requests, "")
        waiting = set(requests)
        while waiting:
            message = json.loads(await socket.read_message())
            parent = message["parent_header"].get("msg_id")
            if message["msg_type"] == "stream" and parent in printed:
                printed[parent] += message["content"]["text"]
            elif message["msg_type"] == "error" and parent in printed:
                printed[parent] += "\n".join(message["content"]["traceback"])
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                waiting.discard(parent)  # all output has come by then; a reply may be quicker than the output
        socket.close()
        return [printed[request] for request in requests]

    return execute
