"""``containers``, ``images``, ``doctor`` and ``version``."""

from __future__ import annotations

import asyncio
import json
import re
import threading

import pytest

from jupyter_containers import __version__
from jupyter_containers.runtime.base import ContainerConfig


@pytest.fixture
def box(runtime):
    container = runtime.create(
        ContainerConfig(image="sha256:0", image_name="demo", argv=("sleep", "1"), name="box", memory=1 << 30)
    )
    container.start()
    container.output = "a\x1b[31mred\n"
    return container


async def test_list_show_log_stats(api, box):
    assert [state["name"] for state in (await api("containers"))[1]] == ["box"]
    assert (await api("containers", "box"))[1]["id"] == box.id
    assert (await api("containers", box.id, "stats"))[1]["memory_limit"] == 1 << 30
    _, log, headers = await api("containers", "box", "log")
    assert (log, headers["Content-Type"]) == (b"a\x1b[31mred\n", "text/plain; charset=utf-8")
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_stop_then_remove(api, box):
    assert (await api("containers", "box", method="DELETE"))[0] == 409
    status, state, _ = await api("containers", "box", "stop", method="POST", body={"grace": 1})
    assert (status, state["status"], state["exit_code"]) == (200, "exited", 143)
    assert (await api("containers"))[1] == []
    assert len((await api("containers", params={"all": "true"}))[1]) == 1
    assert (await api("containers", "box", method="DELETE"))[0] == 204
    assert (await api("containers", "box"))[0] == 404


async def test_pause_and_resume(api, box):
    assert (await api("containers", "box", "pause", method="POST"))[1]["status"] == "paused"
    assert [state["status"] for state in (await api("containers"))[1]] == ["paused"]
    status, refused, _ = await api("containers", "box", "terminal", method="POST")
    assert (status, refused["message"]) == (409, "container box is paused")
    for _ in range(2):
        assert (await api("containers", "box", "resume", method="POST"))[1]["status"] == "running"
    box.finish(0)
    assert (await api("containers", "box", "pause", method="POST"))[0] == 500


async def test_limits_changed_within_the_maximum(api, box, runtime, monkeypatch):
    from jupyter_containers.kernels.limits import Ceiling, current_policy

    monkeypatch.setattr(current_policy(), "ceiling", Ceiling(memory=4 << 30))
    changed = (await api("containers", "box", method="PATCH", body={"memory": "2G", "pids": 50}))[1]
    assert {row["limit"]: row["asked"] for row in changed["limits"]} == {"memory": 2 << 30, "pids": 50}
    runtime.unenforceable.add("cpus")
    for body, status, word in (
        ({"memory": "5G"}, 400, "administrator"),
        ({}, 400, "nothing to change"),
        ({"cpus": 0}, 400, "more than 0"),
        ({"cpus": 2}, 501, "cpus"),
    ):
        code, refused, _ = await api("containers", "box", method="PATCH", body=body)
        assert (code, word in json.dumps(refused)) == (status, True), body
    assert {row.limit: row.asked for row in box.state().limits} == {"memory": 2 << 30, "pids": 50}


async def test_remove_by_force(api, box):
    assert (await api("containers", "box", method="DELETE", params={"force": "true"}))[0] == 204
    assert box.state().exit_code == 137


@pytest.mark.parametrize("grace", [-1, 61, "5", None])
async def test_grace_out_of_bounds(api, box, grace):
    status, refused, _ = await api("containers", "box", "stop", method="POST", body={"grace": grace})
    assert (status, refused["problems"][0]["key"]) == (400, "grace")
    assert box.state().status == "running"


async def test_log_as_it_comes(api, box, jp_fetch):
    """From the start, then what is added, until the end; and from a position on."""
    came = []
    fetch = jp_fetch("jupyter-containers", "api", "containers", "box", "log", "events", streaming_callback=came.append)
    task = asyncio.ensure_future(fetch)
    while not came:
        await asyncio.sleep(0.01)
    box.output += "data: no event\n\nmore"
    box.finish(3)
    await task
    events = b"".join(came)
    assert json.loads(_data(events, "output")[0]) == {"text": "a\x1b[31mred\n"}
    assert "".join(json.loads(data)["text"] for data in _data(events, "output")) == box.output
    assert json.loads(_data(events, "end")[0])["exit_code"] == 3
    position = re.findall(rb"^id: (.*)$", events, re.MULTILINE)[0].decode()
    _, rest, _ = await api("containers", "box", "log", "events", headers={"Last-Event-ID": position})
    assert json.loads(_data(rest, "output")[0]) == {"text": "data: no event\n\nmore"}


async def test_log_of_a_container_that_goes(api, box, jp_fetch):
    came = []
    fetch = jp_fetch("jupyter-containers", "api", "containers", "box", "log", "events", streaming_callback=came.append)
    task = asyncio.ensure_future(fetch)
    while not came:
        await asyncio.sleep(0.01)
    box.remove(force=True)
    await task
    assert _data(b"".join(came), "end") == [b"null"]


def _data(events, kind):
    return re.findall(rf"^event: {kind}\ndata: (.*)$".encode(), events, re.MULTILINE)


async def test_slow_stops_do_not_hold_up_lists(api, runtime, monkeypatch):
    """More stops at once than there are threads; the list is answered before any of them."""
    go = threading.Event()
    containers = [runtime.create(ContainerConfig(image="sha256:0", argv=("x",), name=f"n{n}")) for n in range(12)]
    for container in containers:
        container.start()
        monkeypatch.setattr(container, "stop", lambda *, grace: go.wait())
    stops = [asyncio.create_task(api("containers", item.id, "stop", method="POST")) for item in containers]
    status, listed, _ = await api("containers")
    assert (status, len(listed)) == (200, 12)
    assert not any(stop.done() for stop in stops)
    go.set()
    assert {status for status, _, _ in await asyncio.gather(*stops)} == {200}


async def test_images(api):
    assert (await api("images"))[:2] == (200, [])


async def test_version(api):
    assert (await api("version"))[1] == {"version": __version__, "api": 1}


async def test_doctor_is_asked_once_for_all(api, extension, monkeypatch):
    from jupyter_containers.sandbox.probe import Finding

    asked = []

    def diagnose(*, archives):
        asked.append(archives)
        return (Finding("overlay", "warning", "no userxattr", "take a kernel of 5.11 or later"),)

    await extension.service.call(lambda: extension.service.environments)
    monkeypatch.setattr(extension.service.environments, "diagnose", diagnose)
    answers = await asyncio.gather(*(api("doctor") for _ in range(5)))
    assert asked == [False]
    assert {status for status, _, _ in answers} == {200}
    assert answers[0][1]["findings"][0]["remedy"].startswith("take a kernel")
    await api("doctor", params={"archives": "true"})
    assert asked == [False, True]


async def test_defect_does_not_leak(api, runtime, monkeypatch):
    def fail(**options):
        raise RuntimeError("secret")

    monkeypatch.setattr(runtime, "list", fail)
    status, refused, _ = await api("containers")
    assert (status, refused["message"]) == (500, "internal error")
    assert "secret" not in str(refused)
