"""``limits``, ``notebooks/limits``, and kernels that die, as a page learns of them."""

from __future__ import annotations

import json
import logging

import pytest

from jupyter_containers.kernels import deaths
from jupyter_containers.kernels.deaths import describe_death
from jupyter_containers.kernels.limits import Chosen, current_policy
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.server.app import ContainersExtension
from jupyter_containers.server.events import KERNEL_SCHEMA

_NEITHER = {"files": None, "time": None}


@pytest.fixture(autouse=True)
def _policy():
    before = current_policy().ceiling
    yield
    current_policy().ceiling = before


async def test_no_limits(api):
    _, limits, _ = await api("limits")
    assert limits["maximum"] == {
        "memory": None,
        "cpus": None,
        "pids": None,
        "gpus": None,
        "network": "full",
        **_NEITHER,
    }
    assert limits["unenforced"] == {}
    assert limits["host"]["memory"] > 100 << 20


class TestWithSettings:
    @pytest.fixture
    def jp_server_config(self, jp_server_config):
        jp_server_config["ContainersExtension"] |= {"max_memory": "4G", "max_cpus": 1.5, "allow_network": False}
        jp_server_config["ContainerProvisioner"] = {"memory": "1G", "pids": 100}
        return jp_server_config

    async def test_the_administrator_s_limits(self, api, runtime):
        runtime.unenforceable = {"cpus"}
        _, limits, _ = await api("limits")
        assert limits["maximum"] == {
            "memory": 4 << 30,
            "cpus": 1.5,
            "pids": None,
            "gpus": None,
            "network": "none",
            **_NEITHER,
        }
        assert list(limits["unenforced"]) == ["cpus"]
        assert (limits["defaults"]["memory"], limits["defaults"]["pids"]) == ("1G", 100)

    async def test_of_one_environment(self, api, spec):
        (spec / "jupyter-container.toml").write_text('name = "demo"\n[resources]\nmemory = "2G"\ncpus = 4\n')
        await api("environments", method="POST", body={"path": "demo"})
        _, limits, _ = await api("limits", params={"environment": "demo"})
        own = {"memory": 1 << 30, "cpus": 1.5, "pids": 100, "gpus": None, "network": "none", **_NEITHER}
        assert limits["environment"] == own


def test_a_maximum_that_is_no_size():
    with pytest.raises(Exception, match="is not a size"):
        ContainersExtension(max_memory="lots")


async def test_more_for_one_notebook(api, jp_root_dir):
    body = {"path": "work/a.ipynb", "limits": {"memory": "4G", "network": "full"}}
    assert (await api("notebooks", "limits", method="POST", body=body))[0] == 204
    path = jp_root_dir / "work" / "a.ipynb"
    assert current_policy().agreed(path) == Chosen(memory="4G", network="full")
    status, refused, _ = await api("notebooks", "limits", method="POST", body={**body, "limits": {"memory": "lots"}})
    assert (status, refused["problems"][0]["key"]) == (400, "memory")
    await api("notebooks", "limits", method="POST", body={**body, "limits": None})
    assert current_policy().agreed(path) is None


async def test_it_follows_a_notebook_that_is_renamed_and_is_gone_with_it(api, jp_fetch, jp_root_dir):
    (jp_root_dir / "work").mkdir()
    for name in ("work/a.ipynb", "b.ipynb"):
        (jp_root_dir / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
        body = {"path": name, "limits": {"memory": "4G"}}
        await api("notebooks", "limits", method="POST", body=body)

    async def rename(before, after):
        await jp_fetch("api", "contents", *before.split("/"), method="PATCH", body=json.dumps({"path": after}))

    async def agreed(path):
        _, limits, _ = await api("limits", params={"notebook": path})
        return (limits["agreed"] or {}).get("memory")

    await rename("work/a.ipynb", "work/first of all.ipynb")
    assert [await agreed("work/a.ipynb"), await agreed("work/first of all.ipynb")] == [None, "4G"]
    await rename("work", "done")
    assert await agreed("done/first of all.ipynb") == "4G"
    await rename("done/first of all.ipynb", "a.ipynb")
    assert await agreed("a.ipynb") == "4G"
    await jp_fetch("api", "contents", "b.ipynb", method="DELETE")
    assert await agreed("b.ipynb") is None


async def test_a_death_is_told(extension, jp_serverapp, runtime):
    heard = []

    class Ear(logging.Handler):
        def emit(self, record):
            heard.append(json.loads(self.format(record)))

    jp_serverapp.event_logger.register_handler(Ear())
    labels = {"org.jupyter-containers.kernel-id": "k-1", "org.jupyter-containers.environment": "demo"}
    box = runtime.create(ContainerConfig(image="sha256:0", argv=("x",), kind="kernel", memory=512 << 20, labels=labels))
    box.start()
    box.finish(137, cause="out of memory (limit 512 MiB, peak 512 MiB)", oom=(512 << 20) - 1)
    with extension.watch.follow() as follower:
        await extension.watch.look()
        deaths.tell(describe_death(box.state()))
        told = b""
        while b"event: death" not in told:
            told += b"".join(await follower.next(timeout=5, gone=extension.watch.closed))
    death = json.loads(told.partition(b"event: death\ndata: ")[2].partition(b"\n")[0])
    assert (death["kernel_id"], death["oom"], death["memory_limit"]) == ("k-1", True, 512 << 20)
    assert death["message"] == "the kernel has died: out of memory (limit 512 MiB, peak 512 MiB)"
    event = next(event for event in heard if event["__schema__"] == KERNEL_SCHEMA)
    assert (event["action"], event["kernel_id"], event["memory_limit"]) == ("died", "k-1", 512 << 20)
    await extension.stop_extension()
    deaths.tell(describe_death(box.state()))
    assert len([event for event in heard if event["__schema__"] == KERNEL_SCHEMA]) == 1
