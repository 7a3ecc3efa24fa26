"""``feed``: a snapshot, then what changes, for any number of followers at the price of one look."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.monitor import Event
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.server import audience
from jupyter_containers.server.audience import Audience, differences
from jupyter_containers.spec.catalog import Record, record


class Stream:
    """A follower of the feed, as a browser is one."""

    def __init__(self):
        self.messages: asyncio.Queue = asyncio.Queue()
        self._rest = b""
        self._changes = []

    def take(self, chunk):
        *whole, self._rest = (self._rest + chunk).split(b"\n\n")
        for text in whole:
            fields = dict(line.split(b": ", 1) for line in text.split(b"\n") if not line.startswith(b":"))
            if fields:
                self.messages.put_nowait((fields[b"event"].decode(), json.loads(fields[b"data"])))

    async def next(self, kind):
        while True:
            name, data = await asyncio.wait_for(self.messages.get(), 20)
            if name == kind:
                return data

    async def change(self, kind, key=None):
        """The next change of that kind, and of *key*; changes of others are left for later."""
        while True:
            for at, change in enumerate(self._changes):
                if change["kind"] == kind and key in (None, change["key"]):
                    return self._changes.pop(at)
            self._changes.append(await self.next("change"))


@pytest.fixture
def follow(extension, jp_fetch):
    tasks = []

    def start():
        stream = Stream()
        fetch = jp_fetch("jupyter-containers", "api", "feed", streaming_callback=stream.take, request_timeout=0)
        tasks.append(asyncio.ensure_future(fetch))
        return stream

    yield start
    for task in tasks:
        task.cancel()


async def test_snapshot_then_changes(follow, api, spec, runtime, builder):
    stream = follow()
    assert await stream.next("snapshot") == {
        "environments": [], "containers": [], "builds": [], "images": [], "jobs": [],
    }  # fmt: skip
    await api("environments", method="POST", body={"path": "demo"})
    change = await stream.change("environment", "demo")
    assert change["item"]["state"] == "not built"

    _, build, _ = await api("builds", method="POST", body={"environment": "demo"})
    assert (await stream.change("build", build["id"]))["item"]["environment"] == "demo"
    assert (await stream.change("environment", "demo"))["item"]["state"] == "building"
    builder.go.set()
    while (await stream.change("build", build["id"]))["item"]["state"] != "done":
        pass

    box = runtime.create(ContainerConfig(image="sha256:0", image_name="demo", argv=("x",), name="box"))
    box.start()
    assert (await stream.change("container", box.id))["item"]["status"] == "running"
    (usage,) = (await stream.next("stats"))["items"]
    assert (usage["id"], usage["memory"]) == (box.id, 1 << 20)
    await api("containers", box.id, method="DELETE", params={"force": "true"})
    while (await stream.change("container", box.id))["item"] is not None:
        pass
    await api("environments", "demo", method="DELETE")
    while (await stream.change("environment", "demo"))["item"] is not None:
        pass


async def test_what_a_build_turns_to_is_told_at_once(follow, api, spec, paths, extension, builder, monkeypatch):
    monkeypatch.setattr("jupyter_containers.server.watch._FOLLOWED", 3600)  # nobody looks by the clock
    heard = []
    hear = extension.watch.hear
    monkeypatch.setattr(extension.watch, "hear", lambda event: (heard.append(event.phase), hear(event)))
    stream = follow()
    await stream.next("snapshot")
    _, build, _ = await api("builds", method="POST", body={"path": "demo"})
    while (await stream.change("build", build["id"]))["item"]["phase"] != "running":
        pass
    assert heard == ["running"]
    record(paths, Record(name="new", display_name="New", spec_file=""))
    await asyncio.to_thread(extension.watch.hear, Event(kind="phase", phase="committing"))
    await stream.change("environment", "new")
    builder.go.set()
    while (await stream.change("build", build["id"]))["item"]["state"] != "done":
        pass


async def test_who_comes_later_gets_all_of_it(follow, api, spec):
    first = follow()
    await first.next("snapshot")
    await api("environments", method="POST", body={"path": "demo"})
    await first.change("environment", "demo")
    second = follow()
    assert [item["name"] for item in (await second.next("snapshot"))["environments"]] == ["demo"]


async def test_all_followers_share_one_look(follow, extension, paths, monkeypatch):
    looks = []
    look = type(extension.service.environments.overview).look

    def count(self):
        looks.append(1)
        return look(self)

    monkeypatch.setattr(type(extension.service.environments.overview), "look", count)
    streams = [follow() for _ in range(8)]  # the client opens ten connections at most
    for stream in streams:
        await stream.next("snapshot")
    before = len(looks)
    record(paths, Record(name="new", display_name="New", spec_file=""))
    for stream in streams:
        await stream.change("environment", "new")
    assert before < 10
    assert len(looks) - before <= 3


async def test_nobody_follows_nobody_looks_at_all(extension, monkeypatch, runtime):
    monkeypatch.setattr("jupyter_containers.overview.Overview.look", lambda self: pytest.fail("looked"))
    await extension.watch.look()


async def test_the_end_of_the_server_ends_the_stream(follow, extension):
    stream = follow()
    await stream.next("snapshot")
    await extension.stop_extension()


class Item(msgspec.Struct, frozen=True):
    value: int


PICTURES = st.fixed_dictionaries(
    {kind: st.dictionaries(st.sampled_from("abcd"), st.builds(Item, st.integers(0, 2))) for kind in ("one", "two")}
)


@given(PICTURES, PICTURES)
def test_differences_make_one_of_the_other(before, after):
    made = {kind: dict(items) for kind, items in before.items()}
    for change in differences(before, after):
        if change.item is None:
            del made[change.kind][change.key]
        else:
            assert made[change.kind].get(change.key) != change.item
            made[change.kind][change.key] = change.item
    assert made == after


async def test_a_follower_that_is_too_slow_starts_anew(monkeypatch):
    monkeypatch.setattr(audience, "MOST_WAITING", 3)
    crowd, gone = Audience(), asyncio.Event()
    with crowd.follow() as slow, crowd.follow() as quick:
        crowd.show({"one": {}})
        for number in range(6):
            await quick.next(timeout=1, gone=gone)
            crowd.show({"one": {"a": Item(number)}})
        (message,) = await slow.next(timeout=1, gone=gone)
        assert message.startswith(b"event: snapshot\n")
        assert b'{"value":5}' in message
    assert len(crowd) == 0
