"""Files that several layers have are one file on disk."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.image.check import verify
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.foreign import load_layer
from jupyter_containers.image.gc import collect
from jupyter_containers.image.model import ImageConfig, Layer
from jupyter_containers.image.sharing import list_file, make_list
from jupyter_containers.image.store import Store

Commit = Callable[..., Layer]


def is_shared(a: Layer, b: Layer, name: str, other: str = "") -> bool:
    return (a.path / name).stat().st_ino == (b.path / (other or name)).stat().st_ino


def test_one_file_for_two_layers(store: Store, commit: Commit) -> None:
    first = commit({"usr/doc/copyright": b"text" * 2000, "a": b"1"})
    second = commit({"usr/doc/copyright": b"text" * 2000, "b": b"2"})
    third = commit({"usr/doc/copyright": b"text" * 2000, "c": b"3"})
    assert is_shared(first, second, "usr/doc/copyright")
    assert is_shared(first, third, "usr/doc/copyright")
    assert (first.path / "usr/doc/copyright").stat().st_nlink == 3
    assert verify(store) == ()
    store.tag("x", store.put_image(ImageConfig(architecture="amd64"), [second]).digest)
    collect(store)
    assert (second.path / "usr/doc/copyright").read_bytes() == b"text" * 2000
    assert verify(store) == ()
    assert [path.name for path in (store.root / "layers").glob("*.files")] == [f"{second.id}.files"]


def test_not_what_is_another_file(store: Store) -> None:
    def made(change: Callable[[Path], object]) -> Layer:
        with store.staging() as staging:
            path = staging.fs / "file"
            path.write_bytes(b"same" * 100)
            path.chmod(0o644)
            os.utime(path, (1000, 1000))
            change(path)
            return store.commit_layer(staging.fs, created_by="x")

    def moved(path: Path) -> None:
        path.rename(path.with_name("elsewhere"))

    first = made(lambda path: None)
    for change in (
        lambda path: path.chmod(0o600),
        lambda path: os.utime(path, (2000, 2000)),
        lambda path: path.write_bytes(b"diff" * 100) and os.utime(path, (1000, 1000)),
        lambda path: os.setxattr(path, "user.x", b"1"),
        moved,
    ):
        layer = made(change)
        assert all(path.stat().st_ino != (first.path / "file").stat().st_ino for path in layer.path.iterdir())
    assert verify(store) == ()


def test_no_two_names_of_one_layer_become_one(store: Store, commit: Commit) -> None:
    first = commit({"a/LICENSE": b"text" * 100, "b/LICENSE": b"text" * 100})
    second = commit({"a/LICENSE": b"text" * 100, "b/LICENSE": b"text" * 100, "more": b"1"})
    assert is_shared(first, second, "a/LICENSE")
    assert is_shared(first, second, "b/LICENSE")
    assert not is_shared(second, second, "a/LICENSE", "b/LICENSE")


def test_links_within_a_layer_stay(store: Store, commit: Commit) -> None:
    def linked(more: str) -> Layer:
        with store.staging() as staging:
            (staging.fs / "one").write_bytes(b"x" * 100)
            os.link(staging.fs / "one", staging.fs / "two")
            (staging.fs / more).touch()
            return store.commit_layer(staging.fs, created_by="x")

    first, second = linked("a"), linked("b")
    for layer in (first, second):
        assert is_shared(layer, layer, "one", "two")
        assert store.layer_record(layer.diff_id).facts.links == {"two": "one"}
    assert verify(store) == ()


def test_foreign_layers_too(store: Store, make_tar: Callable[..., bytes]) -> None:
    layers = []
    for uid in (0, 5):
        tar = make_tar(("d", {"type": b"5", "mtime": 7}), ("d/file", {"data": b"x" * 9000, "uid": uid, "mtime": 99}))
        layers.append(load_layer(store, io.BytesIO(tar), sha256_of(tar), what="x", created_by="x"))
    assert is_shared(*layers, "d/file")
    assert {int((layer.path / "d").stat().st_mtime) for layer in layers} == {7}
    assert verify(store) == ()


def test_a_damaged_file_is_not_shared(store: Store, commit: Commit) -> None:
    first = commit({"file": b"good" * 100})
    times = (first.path / "file").stat()
    (first.path / "file").write_bytes(b"evil" * 100)
    os.utime(first.path / "file", ns=(times.st_atime_ns, times.st_mtime_ns))
    second = commit({"file": b"good" * 100, "more": b"1"})
    assert (second.path / "file").read_bytes() == b"good" * 100
    assert [damage.name for damage in verify(store)] == [first.diff_id]


def test_lists_that_are_missing_or_nonsense_do_no_harm(store: Store, commit: Commit) -> None:
    first = commit({"file": b"x" * 100})
    list_file(store.root / "layers", first.id).write_bytes(b"nonsense, and not even a multiple of 8")
    second = commit({"file": b"x" * 100, "a": b"1"})
    assert not is_shared(first, second, "file")
    (store.root / "layers" / f"{'z' * 26}.files").write_bytes(make_list(second.path))  # of a layer that is gone
    third = commit({"file": b"x" * 100, "b": b"1"})
    assert is_shared(second, third, "file")
    for path in (store.root / "layers").glob("*.files"):
        path.unlink()
    commit({"file": b"x" * 100, "c": b"1"})
    assert verify(store) == ()


FILES = st.dictionaries(
    st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a"]), st.tuples(st.sampled_from([b"", b"1", b"22"]), st.booleans()),
    max_size=5,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(FILES, min_size=2, max_size=4))
def test_layers_are_what_they_were_without_sharing(trees: list[dict[str, tuple[bytes, bool]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one = Store(Path(folder) / "one")
        for number, tree in enumerate(trees):
            alone = Store(Path(folder) / f"alone{number}")
            layers = []
            for store in (one, alone):
                with store.staging() as staging:
                    for name, (content, executable) in tree.items():
                        path = staging.fs / name
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_bytes(content)
                        path.chmod(0o755 if executable else 0o644)
                    layers.append(store.commit_layer(staging.fs, created_by="x", epoch=100))
            assert layers[0].diff_id == layers[1].diff_id
        assert verify(one) == ()


def test_the_list_of_a_captured_layer_is_that_of_its_tree(store: Store) -> None:
    with store.staging() as staging:
        for name, mode in (("plain", 0o644), ("closed", 0o200), ("special", 0o4755), ("empty", 0o644)):
            (staging.fs / name).write_bytes(b"" if name == "empty" else name.encode())
            (staging.fs / name).chmod(mode)
        (staging.fs / "folder").mkdir()
        os.link(staging.fs / "special", staging.fs / "folder/link")
        os.utime(staging.fs / "plain", (10**9, 10**9))
        layer = store.commit_layer(staging.fs, created_by="x")
    kept = list_file(store.root / "layers", layer.id).read_bytes()
    assert kept == make_list(layer.path)
    assert len(kept) == 8 * 4
