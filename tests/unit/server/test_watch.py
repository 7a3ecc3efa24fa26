"""Events and metrics: what happened is told once, in order, and a scrape waits for nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import threading

import prometheus_client
import pytest

from jupyter_containers.runtime.base import ContainerConfig, ContainerState
from jupyter_containers.server.events import BUILD_SCHEMA, CONTAINER_SCHEMA
from jupyter_containers.server.watch import Watch, changes


def state(id="a", status="running", started=1.0, ended=None):
    return ContainerState(
        id=id, name=id, image="sha256:0", image_name="x", kind="kernel", argv=("x",), status=status, created_at=0.5,
        started_at=started, ended_at=ended, exit_code=None if ended is None else 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [state()], [("started", "a")]),
        ([state()], [state()], []),
        ([state(status="created", started=None)], [state()], [("started", "a")]),
        ([state()], [state(status="exited", ended=2.0)], [("ended", "a")]),
        ([state()], [], [("removed", "a")]),
        ([], [state(status="exited", ended=2.0)], [("started", "a"), ("ended", "a")]),
        ([state(status="exited", ended=2.0)], [state(started=3.0)], [("started", "a")]),
        (
            [state(status="exited", ended=2.0)],
            [state(status="exited", started=3.0, ended=4.0)],
            [("started", "a"), ("ended", "a")],
        ),
        ([state("a")], [state("b")], [("started", "b"), ("removed", "a")]),
        ([], [state(status="created", started=None)], []),
    ],
)  # fmt: skip
def test_changes(before, after, expected):
    told = changes({item.id: item for item in before}, {item.id: item for item in after})
    assert [(action, item.id) for action, item in told] == expected


@pytest.fixture
def heard(extension, jp_serverapp):
    """Events that a handler of the server's logger has got."""
    events = []

    class Ear(logging.Handler):
        def emit(self, record):
            events.append(json.loads(self.format(record)))

    jp_serverapp.event_logger.register_handler(Ear())
    return events


@pytest.fixture
def watch(extension, jp_serverapp):
    return Watch(extension.service, jp_serverapp.event_logger, interval=1, log=logging.getLogger("test"))


async def test_containers_are_told_of(watch, heard, runtime):
    runtime.create(ContainerConfig(image="sha256:0", argv=("x",), name="before")).start()
    await watch.look()
    assert heard == []
    starts = _value("jupyter_containers_container_starts_total", kind="kernel")
    box = runtime.create(ContainerConfig(image="sha256:0", image_name="demo", argv=("x",), name="box", kind="kernel"))
    box.start()
    await watch.look()
    assert _value("jupyter_containers_containers_running", kind="kernel") == 1
    assert _value("jupyter_containers_containers_running", kind="command") == 1
    assert _value("jupyter_containers_memory_bytes") == 2 << 20
    box.finish(137, cause="out of memory")
    await watch.look()
    box.remove()
    await watch.look()
    assert [(event["action"], event["name"]) for event in heard] == [
        ("started", "box"),
        ("ended", "box"),
        ("removed", "box"),
    ]
    assert heard[1]["cause"] == "out of memory"
    assert {event["__schema__"] for event in heard} == {CONTAINER_SCHEMA}
    assert _value("jupyter_containers_container_starts_total", kind="kernel") == starts + 1
    assert _value("jupyter_containers_containers_running", kind="kernel") == 0


async def test_builds_are_told_of(api, heard, spec, builder):
    done = _value("jupyter_containers_builds_total", result="done")
    builder.go.set()
    _, started, _ = await api("builds", method="POST", body={"path": "demo"})
    while len(heard) < 2:
        await asyncio.sleep(0.01)
    assert [(event["action"], event["build_id"]) for event in heard] == [
        ("started", started["id"]),
        ("done", started["id"]),
    ]
    assert {event["__schema__"] for event in heard} == {BUILD_SCHEMA}
    assert heard[1]["seconds"] >= 0
    assert _value("jupyter_containers_builds_total", result="done") == done + 1
    assert _value("jupyter_containers_build_seconds_count", result="done") >= 1


async def test_scrape_does_not_wait_for_the_runtime(extension, watch, jp_fetch, runtime, monkeypatch):
    """Answered while a look at the containers hangs."""
    go, asked = threading.Event(), threading.Event()

    def hang(**options):
        asked.set()
        go.wait()
        return ()

    monkeypatch.setattr(runtime, "list", hang)
    look = asyncio.create_task(watch.look())
    await asyncio.to_thread(asked.wait)
    response = await jp_fetch("metrics")
    assert not look.done()
    go.set()
    await look
    text = response.body.decode()
    for name in (
        "builds_total",
        "build_seconds_bucket",
        "container_starts_total",
        "containers_running",
        "memory_bytes",
    ):
        assert f"\njupyter_containers_{name}" in text, name


async def test_leftovers_are_removed_in_a_thread(extension, jp_serverapp, api, runtime, monkeypatch):
    go, asked = threading.Event(), threading.Event()

    def reap():
        asked.set()
        go.wait()
        return ("0123456789ab",)

    monkeypatch.setattr(runtime, "reap", reap)
    await extension._start_jupyter_server_extension(jp_serverapp)
    await asyncio.to_thread(asked.wait)
    assert (await api("version"))[0] == 200
    go.set()
    await extension._reap


async def test_watch_outlives_a_failing_look(watch, runtime, monkeypatch):
    looks = []

    def fail(**options):
        looks.append(1)
        raise RuntimeError("a defect")

    monkeypatch.setattr(runtime, "list", fail)
    monkeypatch.setattr(watch, "_interval", 0)
    monkeypatch.setattr("jupyter_containers.server.watch._SHARE", 0)
    task = asyncio.create_task(watch.run())
    while len(looks) < 3:
        await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()


def _value(name, **labels):
    return prometheus_client.REGISTRY.get_sample_value(name, labels) or 0


async def test_an_end_that_fails_does_not_keep_the_server_alive(extension, monkeypatch, caplog):
    async def fail():
        raise RuntimeError("a part of the program is gone")

    with monkeypatch.context() as patch:
        patch.setattr(extension.service.feed, "close", fail)
        await extension.stop_extension()
    await extension.stop_extension()  # a second signal
    assert "a part of the program is gone" in caplog.text
