"""A server keeps its store below a bound."""

from __future__ import annotations

import asyncio
import logging

import pytest
from traitlets import TraitError

from jupyter_containers.environments import Environments
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.fake import FakeRuntime
from jupyter_containers.server.app import ContainersExtension
from jupyter_containers.server.service import Service
from jupyter_containers.server.upkeep import keep_below


def test_what_is_over_the_bound_goes(tmp_path, caplog):
    paths = Paths(tmp_path / "home", tmp_path / "run").made()
    with Environments(paths, FakeRuntime()) as environments:
        store = environments.store
        for name in ("old", "pinned"):
            with store.staging() as staging:
                (staging.fs / name).write_bytes(name.encode() * 100_000)
                layer = store.commit_layer(staging.fs, created_by=name)
            store.tag(name, store.put_image(ImageConfig(architecture="amd64"), [layer]).digest)
        environments.storage.pin("pinned")
        service = Service(lambda: environments)
        rounds = 0

        async def run() -> None:
            task = asyncio.create_task(keep_below(service, 1000, logging.getLogger("test"), interval=0.01))
            nonlocal rounds
            while rounds < 3 and (rounds := sum("pinned or in use" in text for text in caplog.messages)) < 3:
                await asyncio.sleep(0.01)
            task.cancel()
            await service.close()

        with caplog.at_level(logging.INFO, "test"):
            asyncio.run(run())
        assert list(store.references()) == ["pinned:latest"]
        assert sum("freed" in text for text in caplog.messages) == 1


def test_the_setting_is_a_size():
    assert ContainersExtension(store_limit="20G").store_limit == "20G"
    with pytest.raises(TraitError, match="store_limit"):
        ContainersExtension(store_limit="much")
