from __future__ import annotations

import os
from pathlib import Path

import pytest
from trees import tree

from jupyter_containers.errors import StoreError
from jupyter_containers.sandbox.difference import changes, differences


class TestChanges:
    def test_added_changed_deleted(self, tmp_path: Path) -> None:
        low = tree(tmp_path / "a", "etc/old", "etc/gone", "etc/same")
        up = tree(tmp_path / "up", "etc/old", "etc/new", "-etc/gone", "opt/x")
        assert changes([low], up) == [
            ("C", "/etc"), ("D", "/etc/gone"), ("A", "/etc/new"), ("C", "/etc/old"), ("A", "/opt"), ("A", "/opt/x"),
        ]  # fmt: skip

    def test_upper_layers_hide_lower_ones(self, tmp_path: Path) -> None:
        a, b = tree(tmp_path / "a", "etc/x"), tree(tmp_path / "b", "-etc/x")
        assert changes([a, b], tree(tmp_path / "up", "etc/x")) == [("C", "/etc"), ("A", "/etc/x")]
        assert changes([a, b], tree(tmp_path / "up2", "-etc/x")) == []  # a whiteout over nothing

    def test_a_replaced_folder_loses_what_it_held(self, tmp_path: Path) -> None:
        low = tree(tmp_path / "a", "data/one", "data/two")
        up = tree(tmp_path / "up", "data/two", "data/three")
        os.setxattr(up / "data", "user.overlay.opaque", b"y")
        assert changes([low], up) == [
            ("C", "/data"), ("D", "/data/one"), ("A", "/data/three"), ("C", "/data/two"),
        ]  # fmt: skip

    def test_a_folder_becomes_a_file_and_back(self, tmp_path: Path) -> None:
        low = tree(tmp_path / "a", "was/folder", "file")
        up = tree(tmp_path / "up", "was", "file/in/it")
        assert changes([low], up) == [("C", "/file"), ("A", "/file/in"), ("A", "/file/in/it"), ("C", "/was")]

    def test_mount_points_are_not_changes(self, tmp_path: Path) -> None:
        low = tree(tmp_path / "a", "home/")
        up = tree(tmp_path / "up", "home/me/work/", "proc/", "dev/", "etc/hosts", "mnt/deep/er/")
        (up / "etc/hosts").write_text("")
        assert changes([low], up, mounts=["/home/me/work", "/etc/hosts", "/mnt/deep/er"]) == []

    def test_a_mode_is_a_change(self, tmp_path: Path) -> None:
        low, up = tree(tmp_path / "a", "d/"), tree(tmp_path / "up", "d/")
        assert changes([low], up) == []
        (up / "d").chmod(0o700)
        assert changes([low], up) == [("C", "/d")]

    def test_a_folder_in_a_replaced_one_is_needed_though_it_is_the_same(self, tmp_path: Path) -> None:
        low = tree(tmp_path / "a", "data/one/x", "data/two/x")
        up = tree(tmp_path / "up", "data/one/", "data/two/x")
        os.setxattr(up / "data", "user.overlay.opaque", b"y")
        found = {each.path: each.kind for each in differences([low], up)}
        assert found == {"/data": "C", "/data/one": "=", "/data/two": "C", "/data/two/x": "C"}
        assert ("C", "/data/two") in changes([low], up)
        assert "/data/one" not in dict(map(reversed, changes([low], up)))  # type: ignore[arg-type]

    def test_closed_folders_are_read_and_stay_closed(self, tmp_path: Path) -> None:
        up = tree(tmp_path / "up", "private/inner/file")
        for name in ("private/inner", "private"):
            (up / name).chmod(0)
        assert ("A", "/private/inner/file") in changes([], up)
        assert (up / "private").stat().st_mode & 0o777 == 0
        (up / "private").chmod(0o700)

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        outside = tree(tmp_path / "outside", "secret")
        up = tree(tmp_path / "up")
        (up / "link").symlink_to(outside)
        assert changes([], up) == [("A", "/link")]

    def test_too_deep_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "up" / "/".join(["d"] * 500)).mkdir(parents=True)
        with pytest.raises(StoreError, match="nested"):
            changes([], tmp_path / "up")
