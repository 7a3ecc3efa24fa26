"""``builds``: start, follow, cancel; the server answers others meanwhile."""

from __future__ import annotations

import asyncio
import json

import pytest

from jupyter_containers.errors import BuildError, HostError


async def test_build_from_start_to_end(api, spec, builder):
    builder.said = ["hello"]
    status, started, headers = await api("builds", method="POST", body={"path": "demo", "upgrade": True})
    assert status == 202
    assert started["environment"] == "demo"
    assert headers["Location"].endswith(f"/builds/{started['id']}")
    await asyncio.to_thread(builder.began.wait)
    assert (await api("builds", started["id"]))[1]["state"] == "running"
    builder.go.set()
    ended = await _end(api, started["id"])
    assert (ended["state"], ended["image"]) == ("done", "sha256:" + "1" * 64)
    assert builder.options == [{"upgrade": True, "locked": False, "no_cache": False}]
    assert [view["id"] for view in (await api("builds"))[1]] == [started["id"]]
    status, log, headers = await api("builds", started["id"], "log")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert b"hello" in log


async def test_the_event_loop_is_free_during_a_build(api, spec, builder):
    """By the order of events: everything is answered while the build still waits for this test to let it go on."""
    await api("environments", method="POST", body={"path": "demo"})
    _, started, _ = await api("builds", method="POST", body={"environment": "demo"})
    await asyncio.to_thread(builder.began.wait)
    answers = await asyncio.gather(*(api("environments") for _ in range(10)), api("builds"), api("containers"))
    assert not builder.ended.is_set()
    assert {status for status, _, _ in answers} == {200}
    assert answers[0][1][0]["state"] == "building"
    assert answers[0][1][0]["build_id"] == started["id"]
    builder.go.set()
    assert (await _end(api, started["id"]))["state"] == "done"


async def test_one_build_of_a_name_at_a_time(api, spec, builder):
    _, first, _ = await api("builds", method="POST", body={"path": "demo"})
    status, refused, _ = await api("builds", method="POST", body={"path": "demo"})
    assert status == 409
    assert first["id"] in refused["hint"]
    status, refused, _ = await api("environments", "demo", method="DELETE")
    assert status in (404, 409)


async def test_cancel(api, spec, builder):
    _, started, _ = await api("builds", method="POST", body={"path": "demo"})
    await asyncio.to_thread(builder.began.wait)
    status, _, _ = await api("builds", started["id"], method="DELETE")
    assert status == 202
    assert (await _end(api, started["id"]))["state"] == "cancelled"
    status, refused, _ = await api("builds", started["id"], method="DELETE")
    assert (status, refused["reason"]) == (409, "ConflictError")


async def test_cancel_while_queued(api, jp_root_dir, builder):
    ids = []
    for name in ("one", "two", "three"):  # two work at once
        (jp_root_dir / name).mkdir()
        (jp_root_dir / name / "jupyter-container.toml").write_text(f'name = "{name}"\n')
        _, started, _ = await api("builds", method="POST", body={"path": name})
        ids.append(started["id"])
    assert (await api("builds", ids[2]))[1]["state"] == "queued"
    _, cancelled, _ = await api("builds", ids[2], method="DELETE")
    assert cancelled["state"] == "cancelled"
    assert len((await api("builds"))[1]) == 3
    builder.go.set()
    assert [(await _end(api, key))["state"] for key in ids] == ["done", "done", "cancelled"]


@pytest.mark.parametrize("error", [BuildError("it broke", hint="mend it"), RuntimeError("a defect")])
async def test_failure_is_told(api, spec, builder, error):
    builder.error = error
    builder.go.set()
    _, started, _ = await api("builds", method="POST", body={"path": "demo"})
    ended = await _end(api, started["id"])
    assert ended["state"] == "failed"
    assert str(error.args[0]) in ended["error"]


async def test_a_build_that_nobody_asked_for(api, spec, builder):
    builder.go.set()
    _, started, _ = await api("builds", method="POST", body={"path": "demo", "automatic": True})
    await _end(api, started["id"])
    assert builder.options[0]["automatic"] is True


@pytest.mark.parametrize("body", [{}, {"environment": "a", "path": "b"}, {"path": "demo", "upgrade": "yes"}])
async def test_body_that_is_not_valid(api, spec, body):
    status, refused, _ = await api("builds", method="POST", body=body)
    assert status == 400
    assert refused["problems"]


async def test_unknown_things(api):
    assert (await api("builds", "20200101-000000-000-0000"))[0] == 404
    assert (await api("builds", "20200101-000000-000-0000", "events"))[0] == 404
    assert (await api("builds", "20200101-000000-000-0000", "log"))[0] == 404
    assert (await api("builds", "20200101-000000-000-0000", method="DELETE"))[0] == 404
    status, refused, _ = await api("builds", method="POST", body={"environment": "nobody"})
    assert (status, refused["reason"]) == (404, "NotFoundError")


async def test_followers_see_everything_and_its_end(api, follow, spec, builder):
    builder.said = ["one", "two\r\n\r\nevent: end\r\ndata: {}"]
    _, started, _ = await api("builds", method="POST", body={"path": "demo"})
    followers = [follow(started["id"]) for _ in range(20)]
    for follower in followers:
        assert [await follower.get() for _ in range(3)][1][2]["text"] == "one"
    builder.go.set()
    for follower in followers:
        rest = [await follower.get(), await follower.get()]
        assert [kind for kind, _, _ in rest] == ["result", "end"]
        assert rest[1][2]["state"] == "done"
        assert await follower.get() is None


async def test_follower_goes_on_where_it_was(api, follow, spec, builder):
    builder.said = [f"line {number}" for number in range(5)]
    builder.go.set()
    _, started, _ = await api("builds", method="POST", body={"path": "demo"})
    await _end(api, started["id"])
    every = await _all(follow(started["id"]))
    assert [kind for kind, _, _ in every] == ["phase", *["output"] * 5, "result", "end"]
    for seen in range(1, len(every)):
        assert await _all(follow(started["id"], last=every[seen - 1][1])) == every[seen:] or seen == len(every) - 1
    assert [kind for kind, _, _ in await _all(follow(started["id"], last=every[-1][1]))] == ["end"]


@pytest.mark.parametrize("last", ["x", "-1", "1", "99999999999999999999", "7777777"])
async def test_id_that_no_event_has(api, spec, builder, last):
    builder.go.set()
    _, started, _ = await api("builds", method="POST", body={"path": "demo"})
    await _end(api, started["id"])
    status, refused, _ = await api("builds", started["id"], "events", headers={"Last-Event-ID": last})
    assert (status, refused["reason"]) == (400, "InputError")


async def test_follower_that_leaves_is_forgotten(api, follow, spec, builder, extension):
    _, started, _ = await api("builds", method="POST", body={"path": "demo"})
    stays, leaves = follow(started["id"]), follow(started["id"])
    await stays.get()
    await leaves.get()
    await _until(lambda: extension.service.feed.followers == 2)
    leaves.close()
    await _until(lambda: extension.service.feed.followers == 1)
    builder.go.set()
    assert [kind for kind, _, _ in await _all(stays)] == ["result", "end"]
    await _until(lambda: extension.service.feed.followers == 0)


async def test_stop_of_the_server_ends_builds_and_followers(api, follow, spec, builder, extension):
    _, started, _ = await api("builds", method="POST", body={"path": "demo"})
    follower = follow(started["id"])
    await follower.get()
    assert extension.current_activity()
    await extension.stop_extension()
    assert builder.ended.is_set()
    assert extension.service.environments.find_build(started["id"]).state == "cancelled"
    assert await _all(follower) == []
    assert not extension.current_activity()


async def test_host_that_cannot(api, spec, runtime, monkeypatch):
    def refuse(**options):
        raise HostError("user namespaces are off", hint="sysctl kernel.unprivileged_userns_clone=1")

    monkeypatch.setattr(runtime, "list", refuse)
    status, refused, _ = await api("containers")
    assert (status, refused["reason"]) == (503, "HostError")
    assert refused["hint"].startswith("sysctl")


class Follower:
    """Reads server-sent events from a socket."""

    def __init__(self, port: int, request: str) -> None:
        self._port = port
        self._request = request
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self) -> tuple[str, str, dict] | None:
        """Type, id and data of the next event; None once the server has ended the answer."""
        if self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(self._request.encode())
            head = await self._reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head.partition(b"\r\n")[0], head
            assert b"text/event-stream" in head
        fields = {}
        while True:
            line = (await self._reader.readline()).decode()
            if not line or line == "0\r\n":
                return None
            line = line.rstrip("\n")
            if not line and "event" in fields:
                return fields["event"], fields["id"], json.loads(fields["data"])
            key, colon, value = line.partition(": ")
            if colon:
                assert key not in fields, "a field came twice: text of the build has become a field of the event"
                fields[key] = value

    def close(self) -> None:
        assert self._writer is not None
        self._writer.close()


@pytest.fixture
def follow(extension, jp_http_port, jp_base_url, jp_auth_header, http_server):
    followers = []

    def start(build_id: str, *, last: str = "") -> Follower:
        headers = {"Host": "127.0.0.1", **jp_auth_header, **({"Last-Event-ID": last} if last else {})}
        path = f"{jp_base_url}jupyter-containers/api/builds/{build_id}/events"
        lines = [f"GET {path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
        followers.append(Follower(jp_http_port, "\r\n".join(lines)))
        return followers[-1]

    return start


async def _all(follower: Follower) -> list[tuple[str, str, dict]]:
    events = []
    while (event := await follower.get()) is not None:
        events.append(event)
    return events


async def _end(api, build_id: str) -> dict:
    while True:
        _, view, _ = await api("builds", build_id)
        if view["state"] not in ("queued", "running"):
            return view
        await asyncio.sleep(0.01)


async def _until(true) -> None:
    while not true():
        await asyncio.sleep(0.01)
