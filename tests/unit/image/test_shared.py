"""A store that others share below one's own: found, held, never written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.errors import ConflictError, InputError, NotFoundError, StoreError
from jupyter_containers.image.artifacts import Artifact, Part
from jupyter_containers.image.attached import attach, list_attached
from jupyter_containers.image.blobs import layer_tar
from jupyter_containers.image.check import verify
from jupyter_containers.image.copies import copy_tree
from jupyter_containers.image.gc import collect
from jupyter_containers.image.model import Image, ImageConfig, Layer
from jupyter_containers.image.pruning import prune
from jupyter_containers.image.publishing import open_shared, publish, publish_downloads
from jupyter_containers.image.shared import VARIABLE, configured_stores
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.image.usage import measure
from jupyter_containers.lock.fetch import Fetcher
from jupyter_containers.lock.settings import Settings

Commit = Callable[..., Layer]
CONFIG = ImageConfig(architecture="amd64")


@pytest.fixture
def image(store: Store) -> Image:
    """In the administrator's private store, with files that not everybody may read."""
    with store.staging() as staging:
        for name, mode in (("etc/shadow", 0o640), ("root/key", 0o600), ("bin/tool", 0o700), ("set", 0o4711), ("a", 0)):
            path = staging.fs / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(name.encode() * 100)
            path.chmod(mode)
        (staging.fs / "root").chmod(0o700)
        os.link(staging.fs / "etc/shadow", staging.fs / "etc/shadow-")
        (staging.fs / "link").symlink_to("etc/shadow")
        layer = store.commit_layer(staging.fs, created_by="closed")
    store.record_step("step", layer)
    found = store.put_image(CONFIG, [layer])
    store.tag("env", found.digest)
    attach(store, found.digest, Artifact(kind="text/x", parts=(Part(media_type="text/plain", content=b"attached"),)))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "srv"
    remove_tree(tmp_path / "srv")


@pytest.fixture
def reader(store: Store, image: Image, folder: Path, tmp_path: Path) -> Iterator[Store]:
    """A private store above the shared one in which the image is published."""
    publish(store, image, open_shared(folder), ["env:latest"])
    yield Store(tmp_path / "reader", shared=[folder])
    remove_tree(tmp_path / "reader")


def everything(folder: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_mtime_ns, status.st_ino, status.st_size)
    return found


def test_what_is_published_everybody_may_read_and_is_the_same_layer(store, image, folder):
    shared = open_shared(folder)
    done = publish(store, image, shared, ["env:latest"])
    assert (done.image, done.layers) == (image.digest, 1)
    assert publish(store, image, shared, ["other:1"]).layers == 0
    for path in [folder, *(folder / "store/l").rglob("*"), *(folder / "store/layers").rglob("*.json")]:
        if not path.is_symlink():
            wanted = 0o555 if path.is_dir() else 0o444
            assert path.stat().st_mode & wanted == wanted, path
    assert verify(shared) == ()
    assert verify(store) == ()
    (layer,) = shared.image("env").layers
    assert shared.layer_record(layer.diff_id).facts.modes == {
        "etc/shadow": 0o640, "root/key": 0o600, "bin/tool": 0o700, "set": 0o4711, "a": 0, "root": 0o700,
    }  # fmt: skip
    assert (image.layers[0].path / "etc/shadow").stat().st_mode & 0o777 == 0o640
    for private in ("leases", "locks", "pins", "tmp", "cache"):
        assert (folder / "store" / private).stat().st_mode & 0o777 == 0o700


def test_files_are_linked_where_their_modes_can_stay(store, commit, folder):
    layer = commit({"plain": b"x" * 5000, "closed": b"y" * 5000})
    image = store.put_image(CONFIG, [layer])
    shared = open_shared(folder)
    publish(store, image, shared, ["x:1"])
    (published,) = shared.image("x:1").layers
    assert (published.path / "plain").stat().st_ino == (layer.path / "plain").stat().st_ino


def test_it_is_found_from_above_and_never_written(reader, image, folder):
    before = everything(folder)
    found = reader.image("env")
    assert found.digest == image.digest
    assert found.layers[0].path.is_relative_to(folder)
    assert reader.image(image.digest[:20]).digest == image.digest
    assert reader.step("step").diff_id == image.layers[0].diff_id
    assert [each.digest for each in reader.images()] == [image.digest]
    assert reader.references() == {"env:latest": image.digest}
    assert [artifact.kind for artifact in list_attached(reader, image.digest)] == ["text/x"]
    for _ in layer_tar(reader, found.layers[0]):
        pass
    with reader.lease([image.digest]), reader.staging() as staging:
        (staging.fs / "more").write_bytes(b"1")
        top = reader.commit_layer(staging.fs, created_by="above")
        above = reader.put_image(CONFIG, [*found.layers, top])
    reader.tag("above", above.digest)
    reader.tag("mine", image.digest)
    reader.pin("container-x", image.digest)
    assert verify(reader) == ()
    assert collect(reader).items == ()
    measure(reader)
    prune(reader, keep_bytes=1 << 40)
    assert everything(folder) == before
    assert [path.name for path in (reader.root / "l").iterdir()] == [top.id]


def test_own_names_go_before_shared_ones(reader, image):
    other = reader.put_image(CONFIG, [])
    reader.tag("env", other.digest)
    assert reader.image("env").digest == other.digest
    reader.untag("env")
    assert reader.image("env").digest == image.digest
    with pytest.raises(ConflictError, match="shared"):
        reader.remove_image("env")


def test_what_a_reader_uses_stays(reader, image, folder):
    shared = open_shared(folder)
    with reader.lease([image.digest]):
        shared.remove_image("env")
        assert collect(shared).items == ()
    with reader.lease():
        reader.find_layer(image.layers[0].diff_id)
        assert [item.split()[0] for item in collect(shared).items] == ["image"]
        assert reader.find_layer(image.layers[0].diff_id) is not None
    assert [item.split()[0] for item in collect(shared).items] == ["layer"]
    assert reader.find_layer(image.layers[0].diff_id) is None
    with pytest.raises(NotFoundError):
        reader.image("env")


def test_a_reader_that_was_killed_holds_nothing(reader, image, folder):
    program = (
        "import sys, pathlib\n"
        "from jupyter_containers.image.store import Store\n"
        "store = Store(pathlib.Path(sys.argv[1]), shared=[pathlib.Path(sys.argv[2])])\n"
        "with store.lease([sys.argv[3]]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", program, str(reader.root), str(folder), image.digest]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    shared = open_shared(folder)
    shared.remove_image("env")
    assert collect(shared).items == ()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(collect(shared).items) == 2


def test_a_copy_is_what_the_original_was(reader, image, folder, tmp_path):
    """What a reader does whose files they can't be."""
    shelf = open_shared(folder)
    record = shelf.layer_record(image.layers[0].diff_id)
    target = tmp_path / "copy"
    target.mkdir()
    facts = copy_tree(folder / "store/l" / record.id, record.facts, target)
    original = image.layers[0].path
    for path in original.rglob("*"):
        one, other = path.lstat(), (target / path.relative_to(original)).lstat()
        assert (one.st_mode, int(one.st_mtime), one.st_size) == (other.st_mode, int(other.st_mtime), other.st_size)
    assert facts == Store(tmp_path / "store", shared=()).layer_record(record.diff_id).facts
    remove_tree(target)


def test_foreign_files_are_copied_and_checked(reader, image, folder, monkeypatch):
    monkeypatch.setattr("jupyter_containers.image.shelf.Shelf.is_foreign", property(lambda shelf: shelf.is_shared))
    assert reader.images()[0].layers[0].path.is_relative_to(folder)  # a look copies nothing
    found = reader.image("env")
    assert found.layers[0].path.is_relative_to(reader.root)
    assert (found.layers[0].path / "etc/shadow").stat().st_mode & 0o777 == 0o640
    assert verify(reader) == ()
    assert collect(reader).items == ()  # its name is the shared store's, and keeps it
    prune(reader, everything=True)
    assert reader.step("step").path.is_relative_to(reader.root)
    prune(reader, everything=True)
    (folder / "store/l" / found.layers[0].id / "bin/tool").write_bytes(b"evil")
    with pytest.raises(StoreError, match="damaged"):
        reader.image("env")
    assert list((reader.root / "l").iterdir()) == []
    assert list((reader.root / "tmp").iterdir()) == []


def test_downloads(store, reader, folder, tmp_path, monkeypatch):
    import hashlib

    content = b"a package"
    name = hashlib.sha256(content).hexdigest()
    path = store.cache_dir("archives") / "sha256" / name[:2] / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    path.chmod(0o600)
    shared = open_shared(folder)
    assert publish_downloads(store, shared) == 1
    assert publish_downloads(store, shared) == 0
    monkeypatch.setenv(VARIABLE, str(folder))
    with Fetcher(reader.cache_dir("archives"), Settings(offline=True)) as fetcher:
        found = fetcher.cached(name)
        assert found is not None
        assert found.read_bytes() == content
        (folder / "store/cache/archives/sha256" / name[:2] / name).write_bytes(b"evil")
        found.unlink()
        assert fetcher.cached(name) is None


def test_what_is_no_shared_store(store, folder, tmp_path):
    with pytest.raises(StoreError, match="private"):
        open_shared(store.root.parent)
    (tmp_path / "empty").mkdir()
    for given in (tmp_path / "empty", tmp_path / "nothing", store.root.parent):
        assert Store(tmp_path / "reader", shared=[given]).below == ()
    assert Store(open_shared(folder).root, shared=[folder]).below == ()  # its administrator's


def test_where_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    assert configured_stores() == ()
    file = tmp_path / "jupyter-containers" / "config.toml"
    file.parent.mkdir()
    file.write_text('[store]\nshared = ["/srv/a", "~/b"]\n')
    assert configured_stores() == (Path("/srv/a"), Path("~/b").expanduser())
    monkeypatch.setenv(VARIABLE, "/x:/y")
    assert configured_stores() == (Path("/x"), Path("/y"))
    monkeypatch.setenv(VARIABLE, "")
    assert configured_stores() == ()
    monkeypatch.delenv(VARIABLE)
    file.write_text("[store]\nshared = 5\n")
    with pytest.raises(InputError, match="shared"):
        configured_stores()
