"""What containers use: each, together, as metrics, and as jupyter-resource-usage's front end is told."""

from __future__ import annotations

import asyncio
import json

import pytest

from jupyter_containers.runtime.base import ContainerConfig, Stats
from jupyter_containers.runtime.usage import add_up
from jupyter_containers.server.usage import describe_all, measured

EXTENSION = "jupyter_resource_usage"


def stats(number: int, **values) -> Stats:
    base = {
        "id": f"{number:012x}", "name": f"n{number}", "cpu_seconds": 1.0, "cpu_percent": 50.0, "memory": 100,
        "memory_limit": None, "memory_peak": 200, "pids": 3, "read_bytes": 5, "write_bytes": 7,
    }  # fmt: skip
    return Stats(**base | values)


@pytest.fixture
def box(runtime):
    config = ContainerConfig(image="sha256:0", image_name="demo", argv=("x",), name="box", memory=1 << 30)
    container = runtime.create(config)
    container.start()
    return container


@pytest.fixture
def looked(extension, box, jp_asyncio_loop):
    """After a look at *box*."""
    jp_asyncio_loop.run_until_complete(extension.watch.look())
    return extension.watch


def test_together():
    total = add_up([stats(1), stats(2, pids=4)])
    assert (total.containers, total.cpu_percent, total.memory, total.pids) == (2, 100.0, 200, 7)
    assert (total.read_bytes, total.write_bytes) == (10, 14)
    assert add_up([]).memory == 0
    assert (total.received_bytes, total.sent_bytes) == (0, 0)  # of none of them it is known
    total = add_up([stats(1, received_bytes=3, sent_bytes=4), stats(2, received_bytes=1, sent_bytes=1), stats(3)])
    assert (total.received_bytes, total.sent_bytes) == (4, 5)
    report = measured([stats(1, last_activity=3.0, received_bytes=0), stats(2)])
    assert [item.last_activity for item in report.items] == [3.0, None]
    assert report.total.containers == 2


def test_a_limit_that_is_near_warns():
    told = {"own_memory": 700, "own_cpu": 1.0, "cpus": 2}
    near = describe_all([stats(1)], **told, memory_limit=850, cpu_limit=55.0)
    assert (near["rss"], near["limits"]["memory"]) == (800, {"rss": 850, "pss": 850, "warn": True})
    assert near["limits"]["cpu"] == {"cpu": 55.0, "warn": True}
    far = describe_all([stats(1)], **told, memory_limit=8000, cpu_limit=0)
    assert (far["limits"]["memory"]["warn"], "cpu" in far["limits"]) == (False, False)
    assert "warn" not in describe_all([], **told, memory_limit=0, cpu_limit=0)["limits"]["memory"]


async def test_metrics_of_each_come_and_go(looked, box, jp_fetch):
    text = (await jp_fetch("metrics")).body.decode()
    each = 'jupyter_containers_container_memory_bytes{container="box",environment="demo",kind="command"} 1.048576e+06'
    assert each in text
    assert "jupyter_containers_container_cpu_seconds_total{" in text
    assert "jupyter_containers_container_last_activity_timestamp_seconds{" not in text
    assert "jupyter_containers_pids 1.0" in text
    assert (
        'jupyter_containers_container_received_bytes_total{container="box",environment="demo",kind="command"} 0.0'
        in text
    )
    box.remove(force=True)
    await looked.look()
    text = (await jp_fetch("metrics")).body.decode()
    assert 'container="box"' not in text
    assert "jupyter_containers_memory_bytes 0.0" in text


async def test_the_answer_for_the_status_bar(looked, box, jp_fetch, monkeypatch):
    monkeypatch.setenv("MEM_LIMIT", str(64 << 30))
    answer = json.loads((await jp_fetch("api", "metrics", "v1")).body)
    assert answer["rss"] > 1 << 20
    assert answer["limits"]["memory"] == {"rss": 64 << 30, "pss": 64 << 30, "warn": False}
    assert answer["cpu_count"] >= 1


async def test_activity_is_written_down_once(looked, box, extension):
    told = {box.id: 17.0}
    looked._activity = lambda: dict(told)
    await looked.look()
    assert box.stats().last_activity == 17.0
    box.active_at = None
    await looked.look()
    assert box.active_at is None
    told[box.id] = 18.0
    await looked.look()
    assert box.active_at == 18.0


async def test_only_with_a_login(jp_fetch, looked):
    from tornado.httpclient import HTTPClientError

    for path in (("api", "metrics", "v1"), ("api", "metrics", "v1", "kernel_usage", "get_usage", "x")):
        with pytest.raises(HTTPClientError) as refused:
            await jp_fetch(*path, headers={"Authorization": "token wrong"})
        assert refused.value.code == 403
    with pytest.raises(HTTPClientError) as missing:
        await jp_fetch("api", "metrics", "v1", "kernel_usage", "get_usage", "x")
    assert missing.value.code == 404


class TestBesideTheirs:
    """With the other extension enabled nothing of ours answers in its place."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config, tmp_path, monkeypatch):
        package = tmp_path / "site" / f"{EXTENSION}.py"
        package.parent.mkdir()
        package.write_text(
            "def _jupyter_server_extension_points():\n"
            f"    return [{{'module': '{EXTENSION}'}}]\n"
            "def load_jupyter_server_extension(app):\n"
            "    from tornado.web import RequestHandler\n"
            "    class Theirs(RequestHandler):\n"
            "        def get(self):\n"
            "            self.write('theirs')\n"
            "    app.web_app.add_handlers('.*', [(app.base_url + 'api/metrics/v1', Theirs)])\n"
            "_load_jupyter_server_extension = load_jupyter_server_extension\n"
        )
        monkeypatch.syspath_prepend(package.parent)
        jp_server_config["ServerApp"]["jpserver_extensions"][EXTENSION] = True
        return jp_server_config

    async def test_theirs_answers(self, looked, jp_fetch):
        await asyncio.sleep(0)
        assert (await jp_fetch("api", "metrics", "v1")).body == b"theirs"
