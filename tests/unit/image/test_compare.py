"""Two images side by side."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from jupyter_containers.image.compare import compare
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.foreign import load_layer
from jupyter_containers.image.model import ExecutionConfig, ImageConfig, Layer
from jupyter_containers.image.store import Store

Commit = Callable[..., Layer]
CONFIG = ImageConfig(architecture="amd64", config=ExecutionConfig(env=("A=1", "B=2"), cmd=("sh",), labels={"x": "1"}))


def test_the_same_image_has_no_difference(store: Store, commit: Commit) -> None:
    image = store.put_image(CONFIG, [commit({"a": b"1"})])
    found = compare(store, image, image)
    assert found.is_empty
    assert (found.config, found.layers, found.files) == ((), (), ())


def test_each_field_of_the_configuration(store: Store, commit: Commit) -> None:
    layer = commit({"a": b"1"})
    other = msgspec.structs.replace(
        CONFIG, architecture="arm64", config=ExecutionConfig(env=("A=1", "B=3", "C="), cmd=("bash",), user="me")
    )
    found = compare(store, store.put_image(CONFIG, [layer]), store.put_image(other, [layer]))
    assert {field.field: (field.a, field.b) for field in found.config} == {
        "architecture": ("amd64", "arm64"), "env.B": ("2", "3"), "env.C": (None, ""), "Cmd": (("sh",), ("bash",)),
        "User": (None, "me"), "labels.x": ("1", None),
    }  # fmt: skip
    assert found.layers == found.files == ()


def test_each_kind_of_change_of_a_file(store: Store, commit: Commit) -> None:
    def tree(folder: Path, *, second: bool) -> None:
        (folder / "d").mkdir()
        (folder / "d/same").write_bytes(b"same")
        (folder / "content").write_bytes(b"two" if second else b"one")
        (folder / "mode").write_bytes(b"m")
        (folder / "mode").chmod(0o700 if second else 0o644)
        (folder / "setuid").write_bytes(b"s")
        (folder / "setuid").chmod(0o4755 if second else 0o755)
        (folder / "time").write_bytes(b"t")
        os.utime(folder / "time", (100, 100 + second))
        (folder / "link").symlink_to("b" if second else "a")
        if second:
            (folder / "type").mkdir()
            (folder / "type/inner").touch()
            (folder / "new").mkdir()
            (folder / "new/file").touch()
        else:
            (folder / "type").touch()
            (folder / "old").touch()
        os.setxattr(folder / "d", "user.x", b"2" if second else b"1")
        for path in (folder / "d", folder / "type"):
            os.utime(path, (5, 5))

    base = commit({"base/unchanged": b"x", "d/below": b"1"})
    images = []
    for second in (False, True):
        with store.staging() as staging:
            tree(staging.fs, second=second)
            images.append(store.put_image(CONFIG, [base, store.commit_layer(staging.fs, created_by=f"step {second}")]))
    found = compare(store, *images)
    assert {(each.path, each.kind, each.changes) for each in found.files} == {
        ("/content", "changed", ("content",)), ("/mode", "changed", ("mode 644 700",)),
        ("/setuid", "changed", ("mode 755 4755",)), ("/time", "changed", ("time",)), ("/link", "changed", ("link",)),
        ("/type", "changed", ("type",)), ("/type/inner", "added", ()), ("/new", "added", ()),
        ("/new/file", "added", ()), ("/old", "removed", ()), ("/d", "changed", ("attributes",)),
    }  # fmt: skip
    assert {each.layer_a for each in found.files if each.kind == "changed"} == {"step False"}
    (layer,) = found.layers
    assert (layer.position, layer.created_by_a, layer.created_by_b, layer.note) == (1, "step False", "step True", "")


def test_what_a_later_layer_hides_is_no_difference_of_files(store: Store, commit: Commit) -> None:
    a, b, top = commit({"f": b"1"}), commit({"f": b"2"}), commit({"f": b"3"})
    found = compare(store, store.put_image(CONFIG, [a, top]), store.put_image(CONFIG, [b, top]))
    assert found.files == ()
    assert "hide" in found.layers[0].note


def test_owners_of_foreign_layers(store: Store, make_tar: Callable[..., bytes]) -> None:
    images = []
    for uid in (0, 1000):
        tar = make_tar(("./.dot", {"data": b"1", "uid": uid, "gid": 5}), ("same", {"data": b"2"}))
        layer = load_layer(store, io.BytesIO(tar), sha256_of(tar), what="x", created_by="x")
        images.append(store.put_image(CONFIG, [layer]))
    assert [(each.path, each.changes) for each in compare(store, *images).files] == [
        ("/.dot", ("owner 0:5 1000:5",)),
    ]
