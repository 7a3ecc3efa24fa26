from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from trees import tree

from jupyter_containers.sandbox.overlay import make_writable, remove_tree


class TestRemove:
    def test_closed_folders(self, tmp_path: Path) -> None:
        top = tree(tmp_path / "top", "work/work/inner/file", "b/c")
        for name in ("work/work/inner", "work/work", "work", "b", ""):
            (top / name).chmod(0)
        remove_tree(top)
        assert not top.exists()

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        outside = tree(tmp_path / "outside", "keep")
        top = tree(tmp_path / "top", "a/")
        (top / "a/link").symlink_to(outside)
        (tmp_path / "direct").symlink_to(outside)
        remove_tree(top)
        remove_tree(tmp_path / "direct")
        assert (outside / "keep").read_text() == "keep"
        assert not (tmp_path / "direct").is_symlink()

    def test_any_depth(self, tmp_path: Path) -> None:
        top = tmp_path / "top"
        top.mkdir()
        home = os.getcwd()
        try:
            os.chdir(top)
            for _ in range(1200):  # deeper than descriptors, recursion and PATH_MAX allow
                os.mkdir("d")
                os.chdir("d")
            open("leaf", "w").close()
        finally:
            os.chdir(home)
        remove_tree(top)
        assert not top.exists()

    def test_what_is_gone_is_gone(self, tmp_path: Path) -> None:
        remove_tree(tmp_path / "nothing")

    @settings(max_examples=30, deadline=None)
    @given(st.dictionaries(st.text("ab", min_size=1, max_size=3), st.integers(0, 0o777), max_size=6))
    def test_any_modes(self, modes: dict[str, int]) -> None:
        top = Path(tempfile.mkdtemp())
        for name in modes:
            folder = top / "/".join(name)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "file").write_text("x")
        for name, mode in modes.items():
            with contextlib.suppress(PermissionError):
                (top / "/".join(name)).chmod(mode)
        remove_tree(top)
        assert not top.exists()


def test_make_writable(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        upper, work = make_writable(tmp_path / "c")
    finally:
        os.umask(old)
    assert upper.stat().st_mode & 0o777 == 0o755
    assert work.stat().st_mode & 0o777 == 0o700
