"""The context and merged images as sources of a COPY; hostile ones, too."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from jupyter_containers.build.dockerfile.patterns import parse_ignore
from jupyter_containers.build.dockerfile.selection import fingerprint, list_items, match
from jupyter_containers.build.dockerfile.sources import ImageSource, LocalSource, open_regular


def image(*layers: Path) -> ImageSource:
    return ImageSource(layers, name="the image", modes={})


def paths(source: LocalSource | ImageSource, path: str = "") -> list[str]:
    return [entry.path for entry in list_items(source, path)]


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("low", "top"):
        (tmp_path / name).mkdir()
    return tmp_path / "low", tmp_path / "top"


def test_layers_are_merged(layers: tuple[Path, Path]):
    low, top = layers
    (low / "a").mkdir()
    (top / "a").mkdir()
    (low / "a/one").write_text("low")
    (low / "a/two").write_text("low")
    (top / "a/one").write_text("top")
    (top / "a/three").write_text("top")
    found = image(low, top)
    assert paths(found) == ["", "a", "a/one", "a/three", "a/two"]
    item = found.item("a/one")
    assert item is not None and item.file.read_text() == "top"


def test_what_an_upper_layer_replaces_is_gone(layers: tuple[Path, Path]):
    low, top = layers
    (low / "folder/inner").mkdir(parents=True)
    (low / "folder/inner/x").write_text("")
    (low / "file").write_text("")
    (top / "folder").write_text("a file now")
    (top / "file").mkdir()
    found = image(low, top)
    assert paths(found) == ["", "file", "folder"]
    assert found.item("folder/inner/x") is None and found.names("folder/inner") == []


def test_a_link_in_a_lower_layer_does_not_lead_to_the_host(layers: tuple[Path, Path], tmp_path: Path):
    """The layer above has a folder at its place: what is in the folder is looked for in all layers."""
    low, top = layers
    secret = tmp_path / "host/keys"
    secret.mkdir(parents=True)
    (secret / "private").write_text("the host's")
    (low / "a").symlink_to(tmp_path / "host")
    (top / "a/keys").mkdir(parents=True)
    found = image(low, top)
    assert paths(found) == ["", "a", "a/keys"]
    assert found.item("a/keys/private") is None
    assert found.resolve("a/keys/private") is None
    assert match(found, "a/keys/*") == []


def test_links_are_followed_within_the_image(layers: tuple[Path, Path]):
    low, top = layers
    (low / "usr/lib").mkdir(parents=True)
    (low / "usr/lib/x").write_text("")
    (low / "lib").symlink_to("usr/lib")
    (top / "abs").symlink_to("/lib/../lib/x")
    (top / "up").symlink_to("../../../../usr")
    (top / "loop").symlink_to("loop")
    found = image(low, top)
    assert found.resolve("abs") == "usr/lib/x"
    assert found.resolve("up/lib/x") == "usr/lib/x"
    assert found.place("lib/new/file") == "usr/lib/new/file"
    assert found.resolve("loop") is None
    with pytest.raises(OSError, match="loop"):
        found.place("loop/x")


def test_links_of_the_context_end_in_the_context(tmp_path: Path):
    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "outside").write_text("x")
    (context / "up").symlink_to("../outside")
    (context / "absolute").symlink_to(tmp_path / "outside")
    (context / "inside").symlink_to("/real")
    (context / "real").write_text("")
    found = LocalSource(context, name="the context")
    assert (found.resolve("up"), found.resolve("absolute"), found.resolve("inside")) == (None, None, "real")
    assert found.resolve("../../outside") is None


def test_what_is_ignored_is_not_there_even_through_a_link(tmp_path: Path):
    (tmp_path / "secret").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/keep").write_text("")
    (tmp_path / "folder/drop").write_text("")
    (tmp_path / "way").symlink_to("secret")
    ignore = parse_ignore("secret\nfolder\n!folder/keep\n", "")
    found = LocalSource(tmp_path, name="the context", ignore=ignore)
    assert found.resolve("way") is None and found.resolve("secret") is None
    assert paths(found) == ["", "folder", "folder/keep", "way"]
    assert paths(found, "folder") == ["", "keep"]


def test_an_excluded_folder_with_nothing_taken_in_again_does_not_come(tmp_path: Path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/x").write_text("")
    (tmp_path / "z").write_text("")
    found = LocalSource(tmp_path, name="the context", ignore=parse_ignore("a\n!a/b/y\n", ""))
    assert paths(found) == ["", "z"]


def test_names_that_are_no_text(tmp_path: Path):
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("")
    found = LocalSource(tmp_path, name="the context")
    assert [os.fsencode(path) for path in paths(found)] == [b"", b"caf\xe9"]
    assert len(fingerprint(list_items(found, ""))) == 64


def test_a_fingerprint_is_of_names_modes_and_content(tmp_path: Path):
    (tmp_path / "x").write_text("1")
    found = LocalSource(tmp_path, name="the context")
    before = fingerprint(list_items(found, ""))
    os.utime(tmp_path / "x", (1, 1))
    assert fingerprint(list_items(found, "")) == before
    (tmp_path / "x").chmod(0o600 if stat.S_IMODE((tmp_path / "x").stat().st_mode) != 0o600 else 0o644)
    changed = fingerprint(list_items(found, ""))
    (tmp_path / "x").write_text("2")
    assert len({before, changed, fingerprint(list_items(found, ""))}) == 3


def test_what_is_no_file_any_more_is_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match=r"regular|symbolic"):
            open_regular(tmp_path / name)


def test_a_link_in_the_place_of_a_folder_on_the_way_is_not_followed(tmp_path: Path):
    context, secret = tmp_path / "context", tmp_path / "home"
    for folder in (context / "sub", secret):
        folder.mkdir(parents=True)
        (folder / "file").write_text(folder.name)
    item = LocalSource(context, name="x").item("sub/file")
    assert item is not None
    with item.open() as stream:
        assert stream.read() == b"sub"
    (context / "sub").rename(context / "away")
    (context / "sub").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic link"):
        item.open()
