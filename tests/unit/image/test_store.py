"""The store: layers, steps, images, names, leases."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.errors import (
    ConflictError,
    NotFoundError,
    OutOfSpaceError,
    ReferenceError,
    StoreError,
)
from jupyter_containers.image.check import verify
from jupyter_containers.image.model import ExecutionConfig, ImageConfig, Layer
from jupyter_containers.image.store import EPOCH, Store
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.image.usage import measure

Commit = Callable[..., Layer]
CONFIG = ImageConfig(architecture="amd64", config=ExecutionConfig(env=("A=1",)))


def test_a_store_is_private_and_opened_again(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        root = Store(tmp_path / "s").root
    finally:
        os.umask(before)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.iterdir() if path.is_dir()} == {0o700}
    Store(root)
    (root / "version").write_text("99\n")
    with pytest.raises(StoreError, match="format '99'"):
        Store(root)


def test_a_committed_tree_is_moved_into_the_store(store: Store) -> None:
    with store.staging() as staging:
        assert sorted(path.name for path in staging.path.iterdir()) == ["fs", "upper", "work"]
        (staging.upper / "file").write_text("x")
        (staging.work / "work").mkdir(mode=0)
        layer = store.commit_layer(staging.upper, created_by="step 1")
        assert not staging.upper.exists()
    assert not staging.path.exists()
    assert layer.path == store.root / "l" / layer.id
    assert len(layer.id) == 26
    assert (layer.path / "file").read_text() == "x"
    assert stat.S_IMODE(layer.path.stat().st_mode) == 0o755
    assert store.find_layer(layer.diff_id) == layer
    assert store.find_layer("sha256:" + "0" * 64) is None


def test_equal_trees_are_one_layer(store: Store, commit: Commit) -> None:
    first, second = commit({"a": b"1"}), commit({"a": b"1"})
    assert first == second
    assert len(os.listdir(store.root / "l")) == 1
    assert commit({"a": b"2"}) != first


def test_a_tree_elsewhere_can_not_be_committed_silently(store: Store) -> None:
    elsewhere = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    if elsewhere is None or elsewhere.stat().st_dev == store.root.stat().st_dev:
        pytest.skip("needs a second file system")
    tree = elsewhere / f"jc-test-{os.getpid()}"
    tree.mkdir()
    try:
        with pytest.raises(StoreError, match="staging"):
            store.commit_layer(tree, created_by="x")
    finally:
        remove_tree(tree)
    assert os.listdir(store.root / "l") == []


def test_staging_is_removed_when_work_fails(store: Store) -> None:
    with pytest.raises(RuntimeError), store.staging() as staging:
        (staging.fs / "locked").mkdir(mode=0)
        raise RuntimeError
    assert os.listdir(store.root / "tmp") == []


def test_files_linked_from_a_cache_keep_what_they_are(store: Store) -> None:
    """Two layers of one package hold its files once, and committing the second changes nothing in the first."""
    wheel = store.cache_dir("wheels") / "six"
    wheel.mkdir()
    (wheel / "six.py").write_text("x" * 10_000)
    (wheel / "six.py").chmod(0o664)
    (wheel / "tool").write_text("#!/bin/sh\n")
    (wheel / "tool").chmod(0o700)
    layers = []
    for extra in ("one", "two"):
        with store.staging() as staging:
            for name in ("six.py", "tool"):
                os.link(wheel / name, staging.fs / name)
            (staging.fs / extra).write_text(extra)
            layers.append(store.commit_layer(staging.fs, created_by=extra, epoch=EPOCH + 10**9, plain_modes=True))
    first, second = layers
    assert (first.path / "six.py").stat().st_ino == (second.path / "six.py").stat().st_ino
    assert (first.path / "six.py").stat().st_mtime == EPOCH
    assert stat.S_IMODE((first.path / "six.py").stat().st_mode) == 0o644
    assert stat.S_IMODE((first.path / "tool").stat().st_mode) == 0o755
    assert verify(store) == ()
    usage = measure(store)
    assert all(entry.usage.own < entry.usage.size for entry in usage.layers)
    assert usage.trees < sum(entry.usage.size for entry in usage.layers)
    assert usage.caches["wheels"].size >= 12_288


def test_a_full_disk_is_told(store: Store, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jupyter_containers.image.store.sync_file_system", full)
    with pytest.raises(OutOfSpaceError, match="full"):
        commit({"a": b"1"})
    assert os.listdir(store.root / "l") == os.listdir(store.root / "layers") == []
    assert os.listdir(store.root / "tmp") == []


def test_steps_are_remembered(store: Store, commit: Commit) -> None:
    step = "sha256:" + "a" * 64
    assert store.step(step) is None
    with store.lock_step(step):
        layer = commit({"a": b"1"})
        store.record_step(step, layer)
    assert store.step(step) == layer
    assert Store(store.root).step(step) == layer
    assert os.listdir(store.root / "locks") == []
    remove_tree(layer.path)
    assert store.step(step) is None


@pytest.mark.parametrize("step", ["", "../x", "a/b", "x" * 300, ".hidden", "a\0b"])
def test_step_ids_have_a_grammar(store: Store, step: str) -> None:
    with pytest.raises(StoreError, match="step"):
        store.step(step)
    with pytest.raises(StoreError, match="step"), store.lock_step(step):
        pass


def test_a_step_is_one_builder_s(store: Store) -> None:
    """The second waits, is told whose it is, may give up, and gets it when the first is done."""
    entered, release, seen = threading.Event(), threading.Event(), []

    def first() -> None:
        with store.lock_step("step"):
            entered.set()
            release.wait(10)

    class GivenUp(Exception):
        pass

    def give_up(pid: int) -> None:
        seen.append(pid)
        raise GivenUp

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(10)
    with pytest.raises(GivenUp), store.lock_step("step", waiting=give_up):
        pass
    assert seen == [os.getpid()]
    with store.lock_step("step", waiting=lambda pid: release.set()):
        thread.join(10)
        assert not thread.is_alive()
    with store.lock_step("another", waiting=give_up):
        pass


def test_images_are_found_by_all_their_names(store: Store, commit: Commit) -> None:
    layers = [commit({"base": b"1"}), commit({"top": b"2"})]
    image = store.put_image(CONFIG, layers)
    assert image.layers == tuple(layers)
    assert image.layer_paths == (layers[0].path, layers[1].path)
    assert image.config.rootfs.diff_ids == (layers[0].diff_id, layers[1].diff_id)
    assert [entry.created_by for entry in image.config.history or ()] == ["test", "test"]
    assert image.references == ()
    store.tag("thesis", image.digest)
    store.tag("ghcr.io/me/thesis:2", "thesis")
    named = store.image("thesis")
    assert named.references == ("ghcr.io/me/thesis:2", "thesis:latest")
    for name in (image.digest, "thesis:latest", "ghcr.io/me/thesis:2", image.digest[7:19], image.digest[:19]):
        assert store.image(name) == named
    assert store.images() == (named,)
    assert store.put_image(CONFIG, layers).digest == image.digest
    with pytest.raises(NotFoundError, match=r"'other'.*thesis:latest"):
        store.image("other")
    with pytest.raises(NotFoundError):
        store.image("sha256:" + "0" * 64)
    with pytest.raises(ReferenceError):
        store.image("Not A Name")
    with pytest.raises(NotFoundError):
        store.tag("x", "nothing")


def test_the_digest_depends_on_content_alone(tmp_path: Path, store: Store, commit: Commit) -> None:
    image = store.put_image(CONFIG, [commit({"a": b"1"})])
    other = Store(tmp_path / "other")
    with other.staging() as staging:
        (staging.fs / "a").write_bytes(b"1")
        again = other.put_image(CONFIG, [other.commit_layer(staging.fs, created_by="test")])
    assert again.digest == image.digest


def test_a_name_moves_and_goes(store: Store, commit: Commit) -> None:
    first, second = (store.put_image(CONFIG, [commit({"a": data})]) for data in (b"1", b"2"))
    store.tag("a", first.digest)
    store.tag("a", second.digest)
    assert store.image("a").digest == second.digest
    assert store.untag("a")
    assert not store.untag("a")
    assert store.references() == {}
    assert {image.digest for image in store.images()} == {first.digest, second.digest}


def test_removing_an_image(store: Store, commit: Commit) -> None:
    image = store.put_image(CONFIG, [commit({"a": b"1"})])
    store.tag("a", image.digest)
    store.tag("b", image.digest)
    store.remove_image("a")
    assert store.image("b").references == ("b:latest",)
    with store.lease([image.digest]), pytest.raises(ConflictError, match="in use"):
        Store(store.root).remove_image("b")
    store.remove_image(image.digest[:19])
    assert store.images() == ()
    assert store.references() == {}
    with pytest.raises(NotFoundError):
        store.remove_image("b")


def test_an_image_needs_its_layers(store: Store, commit: Commit) -> None:
    layer = commit({"a": b"1"})
    image = store.put_image(CONFIG, [layer])
    (store.root / "layers" / f"{layer.id}.json").unlink()
    with pytest.raises(NotFoundError, match=layer.diff_id):
        store.image(image.digest)
    with pytest.raises(NotFoundError):
        store.put_image(CONFIG, [layer])
    assert store.images() == ()
    commit({"a": b"1"})  # what was lost is made again
    assert store.image(image.digest).layers == (layer,)


def test_leases_need_what_they_hold(store: Store) -> None:
    with pytest.raises(NotFoundError), store.lease(["sha256:" + "0" * 64]):
        pass
    assert os.listdir(store.root / "leases") == []


def test_the_leases_of_the_killed_are_tidied_up(store: Store, commit: Commit) -> None:
    layer = commit({"a": b"1"})
    code = "import os, sys\nfrom pathlib import Path\nfrom jupyter_containers.image.store import Store\n"
    code += "with Store(Path(sys.argv[1])).lease([sys.argv[2]]): os.kill(os.getpid(), 9)"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(store.root), layer.diff_id], check=False)
    with store.lease([layer.diff_id]):
        assert len(os.listdir(store.root / "leases")) == 3
        store.tidy_leases()
        assert len(os.listdir(store.root / "leases")) == 1


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", ".x"])
def test_cache_names_have_a_grammar(store: Store, name: str) -> None:
    with pytest.raises(StoreError):
        store.cache_dir(name)


def test_a_damaged_record_is_no_record(store: Store, commit: Commit) -> None:
    layer = commit({"a": b"1"})
    store.record_step("s", layer)
    (store.root / "layers" / f"{layer.id}.json").write_bytes(b'{"id": 1')
    assert store.find_layer(layer.diff_id) is None
    assert store.step("s") is None
    assert [damage.kind for damage in verify(store)] == ["record"]
    assert commit({"a": b"1"}) == layer
    assert verify(store) == ()
