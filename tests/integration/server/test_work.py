"""What the front end does beside builds: packages, terminals, limits, transfers and carried notebooks, for real."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from pathlib import Path

import pytest
from tornado.httpclient import HTTPClientError

pytestmark = [pytest.mark.network, pytest.mark.slow]

API = "jupyter-containers/api"


@pytest.fixture
def environment(small_environment, ask, server, jp_asyncio_loop):
    """A built environment of this test alone, with six; its spec lies in the server's root folder."""
    name = f"work-{os.getpid()}-{time.monotonic_ns():x}"
    folder = Path(server.root_dir) / name
    folder.mkdir()
    (folder / "jupyter-container.toml").write_text(f'# mine\nname = "{name}"\n[packages]\npip = ["six"]  # small\n')

    async def make() -> None:
        build = await ask("POST", f"{API}/builds", {"path": name})
        while (build := await ask("GET", f"{API}/builds/{build['id']}"))["state"] in {"queued", "running"}:
            await asyncio.sleep(0.1)
        assert build["state"] == "done", build

    async def end() -> None:
        for kernel in await ask("GET", "api/kernels"):
            await ask("DELETE", f"api/kernels/{kernel['id']}")
        while await ask("GET", f"{API}/containers"):
            await asyncio.sleep(0.05)
        if name in [view["name"] for view in await ask("GET", f"{API}/environments") if view["known"]]:
            await ask("DELETE", f"{API}/environments/{name}", image="true")

    jp_asyncio_loop.run_until_complete(make())
    yield name
    jp_asyncio_loop.run_until_complete(end())


@pytest.fixture
def finish(ask):
    """``await finish(job)`` → the result of a job that was started."""

    async def finish(job: dict) -> dict:
        while (job := await ask("GET", f"{API}/jobs/{job['id']}"))["state"] in {"queued", "running"}:
            await asyncio.sleep(0.1)
        assert job["state"] == "done", job
        return job["result"]

    return finish


@pytest.fixture
def feed(server, jp_fetch, jp_asyncio_loop):
    """Events of the feed, as they come: a list of (event, data)."""
    events: list[tuple[str, dict]] = []
    rest = ""

    def hear(chunk: bytes) -> None:
        nonlocal rest
        *whole, rest = (rest + chunk.decode()).split("\n\n")
        for block in whole:
            lines = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
            if "event" in lines:
                events.append((lines["event"], json.loads(lines["data"])))

    async def follow() -> asyncio.Future[object]:
        path = [*API.split("/"), "feed"]
        follower = asyncio.ensure_future(jp_fetch(*path, streaming_callback=hear, request_timeout=300))
        while not events:
            await asyncio.sleep(0.02)
        return follower

    follower = jp_asyncio_loop.run_until_complete(follow())
    yield events
    follower.cancel()


async def _first(events: list[tuple[str, dict]], kind: str, timeout: float = 60) -> dict:
    async with asyncio.timeout(timeout):
        while True:
            found = [data for event, data in events if event == kind]
            if found:
                return found[0]
            await asyncio.sleep(0.05)


def _request(code: str) -> str:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "session": "s",
        "username": "",
        "version": "5.3",
    }
    content = {"code": code, "silent": False}
    return json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})


async def test_a_package_comes_into_a_running_kernel(environment, ask, execute, finish, server):
    """Importable at once, variables kept; the next build has it as a layer of its own; the spec's comments stay."""
    kernel = (await ask("POST", "api/kernels", {"name": f"jc-{environment}"}))["id"]
    assert await execute(kernel, "kept = 41") == [""]
    (container,) = await ask("GET", f"{API}/containers")
    before = (await ask("GET", f"{API}/environments/{environment}"))["image"]
    late: list[float] = []

    async def tick() -> None:
        while True:
            start = time.monotonic()
            await asyncio.sleep(0.02)
            late.append(time.monotonic() - start - 0.02)

    ticking = asyncio.ensure_future(tick())
    body = {"packages": ["humanize"], "container": container["id"]}
    result = await finish(await ask("POST", f"{API}/environments/{environment}/packages", body))
    ticking.cancel()
    assert max(late) < 1, "the event loop stood still"
    assert [package["name"] for package in result["packages"]] == ["humanize"]
    assert (result["restart"], result["container"]) == ([], container["id"])
    assert await execute(kernel, "import humanize; print(kept + 1, humanize.intcomma(1000))") == ["42 1,000\n"]
    text = (await ask("GET", f"{API}/environments/{environment}/spec"))["text"]
    assert text.startswith("# mine\n")
    assert '"humanize"' in text
    assert "# small" in text
    after = (await ask("GET", f"{API}/environments/{environment}"))["image"]
    old, new = [await ask("GET", f"{API}/images/{digest}/history") for digest in (before, after)]
    assert new[: len(old)] == old
    assert len([entry for entry in new if entry["size"]]) == len([entry for entry in old if entry["size"]]) + 1
    view = await ask("GET", f"{API}/environments/{environment}")
    assert view["state"] == "ready", view
    removed = await finish(await ask("DELETE", f"{API}/environments/{environment}/packages/humanize"))
    assert removed["image"] == before


async def test_a_kernel_asks_for_a_package_and_can_do_no_more(environment, ask, server, jp_ws_fetch):
    kernel = (await ask("POST", "api/kernels", {"name": f"jc-{environment}"}))["id"]
    socket = await jp_ws_fetch("api", "kernels", kernel, "channels")
    await socket.write_message(_request("%container add humanize"))
    async with asyncio.timeout(60):
        while True:
            message = json.loads(await socket.read_message())
            assert message["msg_type"] != "error", message["content"]
            if message["msg_type"] == "comm_open":
                break
    socket.close()
    assert message["content"]["target_name"] == "jupyter-containers"
    assert message["content"]["data"] == {"version": 1, "action": "add", "packages": ["humanize"]}
    assert await ask("GET", f"{API}/jobs") == []
    assert "humanize" not in (await ask("GET", f"{API}/environments/{environment}/spec"))["text"]


async def test_a_terminal_in_a_container_and_its_end(environment, ask, server, jp_ws_fetch):
    await ask("POST", "api/kernels", {"name": f"jc-{environment}"})
    (container,) = await ask("GET", f"{API}/containers")
    name = (await ask("POST", f"{API}/containers/{container['id']}/terminal"))["name"]
    socket = await jp_ws_fetch("terminals", "websocket", name)
    await socket.write_message(json.dumps(["stdin", "echo uid=$(id -u) in=$PPID; exec sleep 5417\r"]))
    shown = ""
    async with asyncio.timeout(60):
        while "uid=1000" not in shown:
            kind, *data = json.loads(await socket.read_message())
            shown += data[0] if kind == "stdout" else ""
    processes = await _wait_for_sleep(True)
    assert processes
    socket.close()
    await ask("DELETE", f"api/terminals/{name}")
    assert not await _wait_for_sleep(False)
    assert [state["status"] for state in await ask("GET", f"{API}/containers")] == ["running"]


async def _wait_for_sleep(there: bool) -> list[int]:
    import psutil

    found: list[int] = []
    for _ in range(200):
        found = [each.pid for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "5417"]]
        if bool(found) == there:
            break
        await asyncio.sleep(0.05)
    return found


async def test_a_chosen_limit_holds_and_an_end_by_it_is_told(environment, ask, feed, server, jp_ws_fetch):
    limits = await ask("GET", f"{API}/limits")
    if "memory" in limits["unenforced"]:
        pytest.skip(limits["unenforced"]["memory"])
    path = f"{environment}/a.ipynb"
    await ask("POST", f"{API}/notebooks/limits", {"path": path, "limits": {"memory": "200M"}})
    body = {"path": path, "type": "notebook", "name": "a.ipynb", "kernel": {"name": f"jc-{environment}"}}
    kernel = (await ask("POST", "api/sessions", body))["kernel"]["id"]
    (container,) = await ask("GET", f"{API}/containers")
    socket = await jp_ws_fetch("api", "kernels", kernel, "channels")
    await socket.write_message(_request("x = bytearray(400 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1"))
    death = await _first(feed, "death")
    socket.close()
    assert (death["oom"], death["container"], death["environment"]) == (True, container["id"], environment)
    assert death["memory_limit"] == 200 << 20
    assert 150 << 20 < death["memory_peak"] <= 201 << 20
    assert "200 MiB" in death["message"]
    assert (death["kernel_id"], Path(death["notebook"]).name) == (kernel, "a.ipynb")


async def test_limits_in_a_notebook_only_narrow(environment, ask, execute, server):
    limits = await ask("GET", f"{API}/limits")
    if "pids" in limits["unenforced"]:
        pytest.skip(limits["unenforced"]["pids"])
    wanted = {"jupyter_containers": {"limits": {"pids": 77, "network": "full"}}}
    notebook = {"cells": [], "metadata": wanted, "nbformat": 4, "nbformat_minor": 5}
    (Path(server.root_dir) / environment / "b.ipynb").write_text(json.dumps(notebook))
    body = {
        "path": f"{environment}/b.ipynb",
        "type": "notebook",
        "name": "b.ipynb",
        "kernel": {"name": f"jc-{environment}"},
    }
    kernel = (await ask("POST", "api/sessions", body))["kernel"]["id"]
    (container,) = await ask("GET", f"{API}/containers")
    details = await ask("GET", f"{API}/containers/{container['id']}/stats")
    assert details["pids"] <= 77
    program = "import socket; print([name for _, name in socket.if_nameindex()])"
    assert await execute(kernel, program) == ["['lo']\n"]
    program = (
        "import threading, time\nstarted = 0\ntry:\n    while started < 200:\n"
        "        threading.Thread(target=time.sleep, args=(5,)).start()\n        started += 1\n"
        "except RuntimeError:\n    pass\nprint(started < 77)"
    )
    assert await execute(kernel, program) == ["True\n"]


async def test_push_pull_archive_and_load(environment, ask, finish, server, jp_fetch, registry):
    digest = (await ask("GET", f"{API}/environments/{environment}"))["image"]
    target = f"{registry}/work/{environment}:1"
    await finish(await ask("POST", f"{API}/environments/{environment}/push", {"target": target}))
    archive = await jp_fetch(*API.split("/"), "environments", environment, "archive", request_timeout=300)
    assert archive.headers["Content-Type"].startswith("application/")
    await ask("DELETE", f"{API}/environments/{environment}", image="true")
    assert digest not in [image["digest"] for image in await ask("GET", f"{API}/images")]
    await finish(await ask("POST", f"{API}/images/pull", {"reference": target}))
    assert digest in [image["digest"] for image in await ask("GET", f"{API}/images")]
    await ask("DELETE", f"{API}/images/{digest}", force="true")
    assert digest not in [image["digest"] for image in await ask("GET", f"{API}/images")]
    response = await jp_fetch(
        *API.split("/"), "images", "load", method="POST", body=archive.body, request_timeout=300,
        headers={"Content-Type": "application/x-tar"},
    )  # fmt: skip
    await finish(json.loads(response.body))
    assert digest in [image["digest"] for image in await ask("GET", f"{API}/images")]
    await ask("DELETE", f"{API}/images/{digest}", force="true")


async def test_an_archive_that_is_none_fails_and_leaves_nothing(small_environment, ask, server, jp_fetch, home):
    body = b"no archive" * 1000
    response = await jp_fetch(*API.split("/"), "images", "load", method="POST", body=body, request_timeout=300)
    job = json.loads(response.body)
    while job["state"] in {"queued", "running"}:
        await asyncio.sleep(0.05)
        job = await ask("GET", f"{API}/jobs/{job['id']}")
    assert job["state"] == "failed"
    assert job["error"]
    assert not list((home.store / "tmp").glob("*upload*"))


async def test_a_notebook_carries_its_environment(environment, ask, finish, server, jp_fetch):
    """Nothing is made before its user agrees; then it is the same image."""
    before = await ask("GET", f"{API}/environments/{environment}")
    metadata = (await ask("POST", f"{API}/notebooks/carry", {"environment": environment}))["metadata"]
    assert (await ask("POST", f"{API}/notebooks/check", {"metadata": metadata}))["state"] == "present"
    await ask("DELETE", f"{API}/environments/{environment}", image="true")
    (Path(server.root_dir) / environment / "jupyter-container.toml").unlink()
    checked = await ask("POST", f"{API}/notebooks/check", {"metadata": metadata})
    assert (checked["state"], checked["problems"]) == ("missing", [])
    assert checked["would"]
    body = json.dumps({"metadata": metadata})
    refused = await jp_fetch(*API.split("/"), "notebooks", "open", method="POST", body=body, raise_error=False)
    assert refused.code == 400
    assert environment not in [view["name"] for view in await ask("GET", f"{API}/environments")]
    opened = await finish(await ask("POST", f"{API}/notebooks/open", {"metadata": metadata, "trust": True}))
    assert (opened["same"], opened["digest"]) == (True, before["image"])
    assert (await ask("POST", f"{API}/notebooks/check", {"metadata": metadata}))["state"] == "present"
    kernel = await ask("POST", "api/kernels", {"name": f"jc-{opened['environment']}"})
    assert kernel["name"] == f"jc-{opened['environment']}"


async def test_a_spec_with_steps_says_what_it_asks(small_environment, ask, server):
    """Listed before anybody has built it; what it asks is what refuses a kernel's start; a build agrees to it."""
    name = f"asks-{os.getpid()}-{time.monotonic_ns():x}"
    folder = Path(server.root_dir) / name
    folder.mkdir()
    text = f'name = "{name}"\n[packages]\npip = ["six"]\n[build]\nrun = ["echo {name}"]\n'
    (folder / "jupyter-container.toml").write_text(text)
    view = await ask("GET", f"{API}/environments/{name}")
    assert (view["state"], view["known"]) == ("not built", False)
    assert view["asks"] == [f"build.run: the step 'echo {name}', which has network"]
    with pytest.raises(HTTPClientError) as refused:
        await ask("POST", "api/kernels", {"name": f"jc-{name}"})
    assert "has not been built by you" in json.loads(refused.value.response.body)["message"]
    build = await ask("POST", f"{API}/builds", {"environment": name})
    while (build := await ask("GET", f"{API}/builds/{build['id']}"))["state"] in {"queued", "running"}:
        await asyncio.sleep(0.1)
    view = await ask("GET", f"{API}/environments/{name}")
    assert (view["state"], view["asks"]) == ("ready", [])
    (folder / "jupyter-container.toml").write_text(text.replace('"six"', '"six>1"'))
    view = await ask("GET", f"{API}/environments/{name}")
    assert (view["state"], view["asks"]) == ("out of date", [f"build.run: the step 'echo {name}' again"])
    await ask("DELETE", f"{API}/environments/{name}", image="true")
