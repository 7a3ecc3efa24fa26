"""A Jupyter server's extension that tells of 200 environments and 200 running containers, and runs none of them.

It answers in place of the real one, in its bodies (``views.py``), as far as the panel asks.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_containers.lock.counting import PackageCounts
from jupyter_containers.runtime.base import ContainerState, LimitReport, Stats
from jupyter_containers.server.usage import measured
from jupyter_containers.views import EnvironmentView, ImageView, LayerView

ENVIRONMENTS = CONTAINERS = 200
PERIOD = 2.0
"""Seconds between two measurements, as the real server has it."""

GIB = 1 << 30
SUBJECTS = ("genomics", "climate", "astronomy", "imaging", "economics", "linguistics", "robotics", "chemistry")


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def environments() -> list[EnvironmentView]:
    states = ("ready", "ready", "ready", "out of date", "not built")
    return [
        EnvironmentView(
            name=(name := f"{SUBJECTS[index % len(SUBJECTS)]}-{index:03}"),
            display_name=name.replace("-", " ").capitalize(),
            language="python",
            spec_file=f"/home/jovyan/{name}/jupyter-container.toml",
            image=digest(name) if (state := states[index % len(states)]) != "not built" else None,
            built_at=time.time() if state != "not built" else None,
            state=state,
            reason="the spec has changed" if state == "out of date" else "",
            size=GIB if state != "not built" else None,
            own_size=GIB // 4 if state != "not built" else None,
            containers=1,
            packages=PackageCounts(apt=80, pip=60),
        )
        for index in range(ENVIRONMENTS)
    ]


def containers() -> list[ContainerState]:
    now = time.time()
    return [
        ContainerState(
            id=f"{index:012x}",
            name=f"calm-owl-{index}",
            image=digest(name := f"{SUBJECTS[index % len(SUBJECTS)]}-{index:03}"),
            image_name=name,
            kind="kernel",
            argv=("python", "-m", "ipykernel_launcher"),
            status="running",
            created_at=now - 60 * index,
            started_at=now - 60 * index,
            pid=1000 + index,
            limits=(LimitReport(limit="memory", asked=2 * GIB, enforced_by="cgroup"),),
            labels={
                "org.jupyter-containers.environment": name,
                "org.jupyter-containers.notebook": f"{name}/analysis.ipynb",
            },
        )
        for index in range(CONTAINERS)
    ]


def images() -> list[ImageView]:
    layers = tuple(LayerView(diff_id=digest(f"layer {n}"), size=GIB // 8, created_by=f"step {n}") for n in range(8))
    return [
        ImageView(
            digest=view.image,
            references=(f"{view.name}:latest",),
            created_at=time.time(),
            layers=layers,
            size=GIB,
            own_size=GIB // 4,
            environments=(view.name,),
        )
        for view in environments()
        if view.image
    ]


def measurements() -> Iterator[list[Stats]]:
    """One after the other, as if time went by."""
    chance = random.Random(4)
    memory = [chance.randrange(GIB // 8, GIB) for _ in range(CONTAINERS)]
    while True:
        memory = [min(2 * GIB, max(GIB // 16, value + chance.randrange(-1 << 24, 1 << 24))) for value in memory]
        yield [
            Stats(
                id=f"{index:012x}",
                name=f"calm-owl-{index}",
                cpu_seconds=time.time() % 1000,
                cpu_percent=chance.random() * 100,
                memory=value,
                memory_limit=2 * GIB,
                memory_peak=2 * GIB,
                pids=3,
                read_bytes=0,
                write_bytes=0,
            )
            for index, value in enumerate(memory)
        ]


class Answer(APIHandler):
    """What does not change."""

    def initialize(self, body: object) -> None:
        self.body = body

    @web.authenticated
    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(self.body))


class Feed(APIHandler):
    """A snapshot, measurements every two seconds, and a change now and then."""

    @web.authenticated
    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        known = environments()
        body = {"environments": known, "containers": containers(), "builds": [], "images": images(), "jobs": []}
        try:
            await self.tell("snapshot", body)
            for number, items in enumerate(measurements()):
                await self.tell("stats", measured(items))
                item = known[number % len(known)]
                await self.tell("change", {"kind": "environment", "key": item.name, "item": item})
                await asyncio.sleep(PERIOD)
        except StreamClosedError:
            return

    async def tell(self, event: str, data: object) -> None:
        self.write(b"event: %s\ndata: %s\n\n" % (event.encode(), msgspec.json.encode(data)))
        await self.flush()


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "benchmarks.fleet"}]


def _load_jupyter_server_extension(server: Any) -> None:
    findings = [{"name": f"finding {n}", "status": "ok", "found": "it works", "remedy": ""} for n in range(12)]
    store = {"path": "/home/jovyan/.local/share/jupyter/containers", "bytes": 40 * GIB, "free": 100 * GIB}
    open_ended = {"memory": None, "cpus": None, "pids": None, "gpus": "all", "network": True}
    answers = {
        "version": {"version": "0.1.0", "api": 1},
        "doctor": {"checked_at": 0, "findings": findings, "store": store},
        "limits": {"maximum": open_ended, "unenforced": {}, "defaults": open_ended, "host": {"memory": 0, "cpus": 0}},
    }
    base = url_path_join(server.base_url, "jupyter-containers", "api")
    rules = [(url_path_join(base, path), Answer, {"body": body}) for path, body in answers.items()]
    server.web_app.add_handlers(".*$", [*rules, (url_path_join(base, "feed"), Feed)])
