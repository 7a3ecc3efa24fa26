"""The collector, verification and disk usage."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.image.check import verify
from jupyter_containers.image.gc import collect, sweep, trash
from jupyter_containers.image.model import ImageConfig, Layer
from jupyter_containers.image.store import Store
from jupyter_containers.image.usage import measure

Commit = Callable[..., Layer]
CONFIG = ImageConfig(architecture="amd64")


def names(store: Store, folder: str) -> set[str]:
    return {name for name in os.listdir(store.root / folder) if not name.startswith(".")}


def test_what_is_named_stays_and_the_rest_goes(store: Store, commit: Commit) -> None:
    shared, top, loose = commit({"base": b"1" * 9000}), commit({"top": b"2"}), commit({"loose": b"3" * 9000})
    kept = store.put_image(CONFIG, [shared, top])
    lost = store.put_image(CONFIG, [shared, loose])
    store.tag("kept", kept.digest)
    store.record_step("top", top)
    store.record_step("loose", loose)
    planned = collect(store, dry_run=True)
    assert store.image(lost.digest)
    done = collect(store)
    assert planned == done
    assert done.items == (f"image {lost.digest[:19]}", f"layer {loose.id} (test)")
    assert done.size >= 9000
    assert names(store, "l") == {shared.id, top.id}
    assert names(store, "blobs") == {kept.digest[7:]}
    assert store.step("top") == top
    assert store.step("loose") is None
    assert len(names(store, "steps")) == 1
    assert verify(store) == ()
    assert collect(store).items == ()


def test_leases_hold_images_layers_and_what_is_made_meanwhile(store: Store, commit: Commit) -> None:
    before, looked_up = commit({"a": b"1"}), commit({"b": b"2"})
    image = store.put_image(CONFIG, [before])
    other = Store(store.root)  # another process's view
    with store.lease([image.digest]):
        assert store.find_layer(looked_up.diff_id)
        made = commit({"c": b"3"})
        assert collect(other).items == ()
        assert names(store, "l") == {before.id, looked_up.id, made.id}
        assert names(store, "images") == {image.digest[7:] + ".json"}
    assert len(collect(other).items) == 4
    assert names(store, "l") == names(store, "leases") == set()


def test_pins_hold_beyond_a_process(store: Store, commit: Commit) -> None:
    image = store.put_image(CONFIG, [commit({"a": b"1"})])
    store.pin("container-0123456789ab", image.digest)
    assert collect(Store(store.root)).items == ()
    assert store.pins() == {"container-0123456789ab": image.digest}
    store.unpin("container-0123456789ab")
    store.unpin("container-0123456789ab")
    assert collect(store).items


def test_what_was_of_use_lately_stays_when_asked(store: Store, commit: Commit) -> None:
    old, new = commit({"a": b"1"}), commit({"b": b"2"})
    for step, layer in (("old", old), ("new", new)):
        store.record_step(step, layer)
    for path in (store.root / "steps").iterdir():
        os.utime(path, (time.time() - 1000,) * 2)
    assert store.step("new") == new
    collect(store, unused_for=500)
    assert store.step("new") == new
    assert store.step("old") is None


def test_interrupted_work_is_collected_and_living_work_is_not(store: Store, commit: Commit) -> None:
    tmp = store.root / "tmp"
    (tmp / "dead").mkdir()
    (tmp / "dead/secret").mkdir(mode=0)
    (tmp / "trash-dead").mkdir()
    (store.root / "leases/dead").write_text("sha256:" + "0" * 64)
    (store.root / "locks/dead.lock").write_text("1")
    (store.root / "layers/.abc.tmp").write_text("half")
    (store.root / "l" / ("x" * 26)).mkdir()  # renamed, and killed before its record
    (store.root / "layers" / ("x" * 26 + ".recipe")).write_bytes(b"")
    with store.staging() as staging, store.lock_step("living"), trash(store) as bin_:
        done = collect(store)
        assert staging.fs.is_dir()
        assert bin_.is_dir()
        assert len(names(store, "locks")) == 1
    assert set(done.items) == {
        "interrupted work dead", "interrupted work trash-dead", f"layer {'x' * 26}, whose commit was interrupted",
    }  # fmt: skip
    for folder in ("tmp", "leases", "l", "layers"):
        assert os.listdir(store.root / folder) == []


def test_a_sweep_takes_interrupted_work_only(store: Store, commit: Commit) -> None:
    layer = commit({"unnamed": b"x"})
    dead = store.folder("tmp") / "dead"
    (dead / "fs").mkdir(parents=True)
    with store.staging() as living:
        sweep(store)
        assert living.path.is_dir()
    assert not dead.exists()
    assert store.find_layer(layer.diff_id) == layer


def test_damage_is_found_taken_out_and_made_again(store: Store, commit: Commit) -> None:
    good, bad = commit({"a": b"1"}), commit({"b": b"2", "c": b"3"})
    image = store.put_image(CONFIG, [good, bad])
    store.tag("x", image.digest)
    (bad.path / "b").write_bytes(b"9")
    os.utime(bad.path / "b", (0, 0))
    (damage,) = verify(store)
    assert (damage.kind, damage.name, damage.repaired) == ("layer", bad.diff_id, False)
    (damage,) = verify(store, repair=True)
    assert damage.repaired
    assert store.find_layer(bad.diff_id) is None
    assert {damage.kind for damage in verify(store)} == {"image"}
    assert commit({"b": b"2", "c": b"3"}) == bad
    assert verify(store) == ()
    assert os.listdir(store.root / "tmp") == []


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: (path / "f").unlink(),
        lambda path: (path / "more").write_text("x"),
        lambda path: (path / "f").chmod(0o600),
        lambda path: (path / "f").write_bytes(b"longer than before"),
        lambda path: (path / "d").rmdir(),
        lambda path: os.symlink("f", path / "l"),
        lambda path: os.utime(path / "f", (5, 5)),
        lambda path: os.mknod(path / "w", 0o020000, 0),
        lambda path: os.setxattr(path / "d", "user.overlay.opaque", b"y"),
    ],
)
def test_every_kind_of_change_is_found(store: Store, harm: Callable[[Path], object]) -> None:
    with store.staging() as staging:
        (staging.fs / "f").write_bytes(b"data")
        (staging.fs / "d").mkdir()
        layer = store.commit_layer(staging.fs, created_by="x")
    assert verify(store) == ()
    harm(layer.path)
    assert [damage.kind for damage in verify(store)] == ["layer"]


def test_damaged_documents_and_lost_targets_are_told(store: Store, commit: Commit) -> None:
    image = store.put_image(CONFIG, [commit({"a": b"1"})])
    store.tag("x", image.digest)
    store.blob_path(image.digest).write_bytes(b"{}")
    kinds = {damage.kind for damage in verify(store, repair=True)}
    assert kinds == {"document", "image"}
    store.put_image(CONFIG, [commit({"a": b"1"})])
    assert verify(store) == ()
    (store.root / "images" / f"{image.digest[7:]}.json").unlink()
    (damage,) = verify(store)
    assert (damage.kind, damage.name) == ("reference", "x:latest")


def test_usage_counts_every_file_once(store: Store, commit: Commit) -> None:
    layer = commit({"a": b"x" * 100_000})
    os.link(layer.path / "a", layer.path / "again")
    usage = measure(store)
    (entry,) = usage.layers
    assert 100_000 <= entry.usage.size == entry.usage.own < 200_000
    assert usage.trees == entry.usage.size
    assert usage.total >= usage.trees + usage.documents
    cache = store.cache_dir("wheels")
    os.link(layer.path / "a", cache / "a")
    usage = measure(store)
    assert usage.layers[0].usage.own < 100_000 <= usage.layers[0].usage.size
    assert usage.caches["wheels"].size >= 100_000
    assert usage.total < 200_000 + usage.documents
