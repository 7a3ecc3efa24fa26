"""Kernels measured, paused, limited, culled and kept over the server's end, on the real runtime."""

from __future__ import annotations

import asyncio
import json

import pytest

pytestmark = [pytest.mark.network, pytest.mark.slow]

API = "jupyter-containers/api"


@pytest.fixture
def start(small_environment, ask, jp_asyncio_loop):
    """``await start()`` → the kernel's id and its container's state; all are ended afterwards."""

    async def start() -> tuple[str, dict]:
        kernel = (await ask("POST", "api/kernels", {"name": "jc-small"}))["id"]
        states = await ask("GET", f"{API}/containers")
        (state,) = [each for each in states if each["labels"].get("org.jupyter-containers.kernel-id") == kernel]
        return kernel, state

    async def end() -> None:
        for kernel in await ask("GET", "api/kernels"):
            await ask("DELETE", f"api/kernels/{kernel['id']}")
        while await ask("GET", f"{API}/containers"):
            await asyncio.sleep(0.05)

    yield start
    jp_asyncio_loop.run_until_complete(end())


async def test_what_a_kernel_uses_is_told(start, ask, execute, server, jp_fetch):
    kernel, container = await start()
    await execute(kernel, "held = bytearray(b'x' * (64 << 20))")
    usage = await ask("GET", f"api/metrics/v1/kernel_usage/get_usage/{kernel}")
    content = usage["content"]
    assert content["kernel_memory"] > 64 << 20
    assert content["hostname"] == container["name"]
    assert content["host_virtual_memory"]["total"] > content["kernel_memory"]
    watch = server.web_app.settings["jupyter_containers_watch"]
    await watch.look()
    assert (await ask("GET", "api/metrics/v1"))["rss"] > 64 << 20
    stats = await ask("GET", f"{API}/containers/{container['id']}/stats")
    assert (stats["received_bytes"], stats["sent_bytes"]) == (0, 0)
    assert stats["uptime"] > 0
    active = (await ask("GET", f"api/kernels/{kernel}"))["last_activity"]
    await watch.look()
    from datetime import datetime

    told = (await ask("GET", f"{API}/containers/{container['id']}/stats"))["last_activity"]
    assert told == pytest.approx(datetime.fromisoformat(active).timestamp(), abs=0.01)
    text = (await jp_fetch("metrics")).body.decode()
    assert f'container_memory_bytes{{container="{container["name"]}",environment="small",kind="kernel"}}' in text
    assert json.dumps(content)


async def test_a_paused_kernel_waits_and_hears_an_interrupt(start, ask, execute, server):
    kernel, container = await start()
    place = f"{API}/containers/{container['id']}"
    assert (await ask("POST", f"{place}/pause"))["status"] == "paused"
    running = asyncio.ensure_future(execute(kernel, "print(1 + 1)"))
    await asyncio.sleep(0.5)
    assert not running.done()
    assert (await ask("GET", place))["status"] == "paused"
    assert (await ask("POST", f"{place}/resume"))["status"] == "running"
    assert await running == ["2\n"]
    sleeping = asyncio.ensure_future(execute(kernel, "import time; time.sleep(1000)"))
    await asyncio.sleep(0.5)
    await ask("POST", f"{place}/pause")
    await ask("POST", f"api/kernels/{kernel}/interrupt")
    assert "KeyboardInterrupt" in (await sleeping)[0]
    assert (await ask("GET", place))["status"] == "running"


@pytest.mark.parametrize("end", ["restart", "shutdown"])
async def test_a_paused_kernel_restarts_and_ends(start, ask, execute, server, end):
    kernel, container = await start()
    await ask("POST", f"{API}/containers/{container['id']}/pause")
    if end == "restart":
        await ask("POST", f"api/kernels/{kernel}/restart")
        assert await execute(kernel, "print(2 + 2)") == ["4\n"]
    else:
        await ask("DELETE", f"api/kernels/{kernel}")
        assert await ask("GET", f"{API}/containers") == []


class TestCulling:
    @pytest.fixture
    def jp_server_config(self, jp_server_config):
        return {**jp_server_config, "MappingKernelManager": {"cull_idle_timeout": 1, "cull_interval": 1}}

    async def test_idle_kernels_are_ended_by_the_server_s_own_settings(self, start, ask, execute, server):
        kernel, one = await start()
        _, paused = await start()
        await ask("POST", f"{API}/containers/{paused['id']}/pause")
        socket = asyncio.ensure_future(execute(kernel, "import time; time.sleep(4); print('busy')"))
        assert await socket == ["busy\n"]  # one that is at work, or has a page, is left alone
        async with asyncio.timeout(45):
            while {one["id"], paused["id"]} & {
                each["id"] for each in await ask("GET", f"{API}/containers", all="true")
            }:
                await asyncio.sleep(0.1)
        assert await ask("GET", "api/kernels") == []
