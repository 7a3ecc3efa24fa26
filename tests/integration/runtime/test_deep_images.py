"""Images of as many layers as docker makes, which are more than one overlay's mount options have room for."""

from __future__ import annotations

import stat
from os import mknod

import pytest

MOST = 127


@pytest.fixture(scope="module")
def deep(house) -> str:
    """``/data/N`` of each layer N; every tenth takes away what the one before it brought."""
    store = house.store
    layers = list(store.image(house.image).layers)
    with store.lease():
        for number in range(len(layers), MOST):
            with store.staging() as staging:
                data = staging.upper / "data"
                data.mkdir()
                (data / str(number)).write_text(str(number))
                if number % 10 == 0:
                    mknod(data / str(number - 1), stat.S_IFCHR, 0)  # a whiteout
                layers.append(store.commit_layer(staging.upper, created_by=f"layer {number}"))
        return store.put_image(store.image(house.image).config, layers).digest


def test_all_of_it_is_seen_and_changes_are_told(house, deep) -> None:
    container = house.start("ls /data | wc -l; rm /data/7; echo new >/data/8", image=deep, user="0")
    assert container.wait(30) == 0
    assert container.logs() == f"{MOST - 1 - MOST // 10}\n"
    assert {("D", "/data/7"), ("C", "/data/8")} == {
        (each.kind, each.path) for each in container.changes() if each.path.startswith("/data/")
    }
    container.remove()


def test_system_folders_are_read_only_in_it(house, deep) -> None:
    assert house.run("touch /usr/x 2>/dev/null; echo $? $(cat /data/126)", image=deep) == (0, "1 126\n")


def test_it_starts_again_and_nothing_stays(house, deep) -> None:
    container = house.start("cat /data/126", image=deep)
    assert container.wait(30) == 0
    folder = house.paths.containers / container.id
    (merged,) = folder.glob("merged-*")
    made = merged.stat().st_ino
    container.start()
    assert container.wait(30) == 0
    assert container.logs() == "126126"
    assert [path.stat().st_ino for path in folder.glob("merged-*")] == [made]
    container.remove()
    assert not folder.exists()
