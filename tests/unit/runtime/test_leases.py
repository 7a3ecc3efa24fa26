"""One lease for all containers of an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import NotFoundError
from jupyter_containers.image.lease import leased_digests
from jupyter_containers.image.store import Store
from jupyter_containers.runtime.leases import leased


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def layer(store: Store) -> str:
    with store.lease(), store.staging() as staging:
        (staging.upper / "file").write_text("")
        return store.commit_layer(staging.upper, created_by="a test").diff_id


def test_it_is_held_until_the_last_lets_go(store: Store, layer: str) -> None:
    folder = store.root / "leases"
    with leased(store.root, (layer,)):
        with leased(store.root, (layer,)):
            assert len(list(folder.iterdir())) == 1
        assert leased_digests(folder, tidy=False) == {layer}
    assert list(folder.iterdir()) == []
    with leased(store.root, (layer,)):
        assert leased_digests(folder, tidy=False) == {layer}


def test_what_is_not_there_is_told_each_time(store: Store) -> None:
    absent = "sha256:" + "0" * 64
    for _ in range(2):
        with pytest.raises(NotFoundError), leased(store.root, (absent,)):
            pass
    assert list((store.root / "leases").iterdir()) == []
