"""Removing trees."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.image import tree
from jupyter_containers.image.tree import remove_tree


@pytest.fixture(params=[0, 2, 16])
def levels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are moved to the top at different depths."""
    monkeypatch.setattr(tree, "_LEVELS", request.param)


def test_nothing_and_files_and_links_are_removed(tmp_path: Path) -> None:
    remove_tree(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/kept").write_text("")
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("gone")
    for name in ("file", "link", "dangling"):
        remove_tree(tmp_path / name)
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == ["kept"]


def test_closed_folders_and_links_inside(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "precious").mkdir(parents=True)
    closed = tmp_path / "tree"
    (closed / "a/b/c").mkdir(parents=True)
    (closed / "a/b/c/out").symlink_to(victim)
    (closed / "a/out").symlink_to("/")
    (closed / "a/b/c/f").write_text("")
    (closed / "a/b/c/f").chmod(0)
    os.mknod(closed / "a/b/gone", 0o020000, 0)
    os.mkfifo(closed / "pipe")
    for name in ("a/b/c", "a/b", "a", "."):
        (closed / name).chmod(0)
    # Not as root, to whom modes mean nothing.
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path\n"
        "from jupyter_containers.image.tree import remove_tree\n"
        f"remove_tree(Path({str(closed)!r}))"
    )
    if os.geteuid() == 0:
        subprocess.run(["chown", "-hR", "12345", str(tmp_path)], check=True)
        done = subprocess.run(
            ["setpriv", "--reuid=12345", "--bounding-set=-all", "--clear-groups", sys.executable, "-c", script],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:  # this interpreter is not for everybody
            remove_tree(closed)
    else:
        remove_tree(closed)
    assert not closed.exists()
    assert (victim / "precious").is_dir()


def test_trees_deeper_than_a_path_or_the_stack(tmp_path: Path) -> None:
    top = os.open(tmp_path, os.O_RDONLY)
    os.mkdir("deep", dir_fd=top)
    handle = os.open("deep", os.O_RDONLY, dir_fd=top)
    for _ in range(3000):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    os.close(top)
    remove_tree(tmp_path / "deep")
    assert os.listdir(tmp_path) == []


def test_names_of_its_own_do_not_matter(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"t/.removed-{number}/x/.removed-{number}").mkdir(parents=True)
        (tmp_path / f"t/.removed-{number}/f").write_text("")
    remove_tree(tmp_path / "t")
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("turn", range(1, 6))
@pytest.mark.parametrize("call", ["open", "scandir", "unlink", "rename", "rmdir"])
def test_another_that_removes_it_is_quicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: None, call: str, turn: int
) -> None:
    top = tmp_path / "top"
    for name in ("a/b/c", "a/d", "e"):
        (top / name).mkdir(parents=True)
        (top / name / "file").touch()
    real, turns = getattr(os, call), itertools.count(1)

    def called(*arguments: Any, **options: Any) -> Any:
        if next(turns) == turn:
            monkeypatch.setattr(os, call, real)
            remove_tree(top)
        return real(*arguments, **options)

    monkeypatch.setattr(os, call, called)
    remove_tree(top)
    assert not top.exists()


def test_several_at_once(tmp_path: Path, levels: None) -> None:
    """Each moves folders to the top, where the others find them."""
    top = tmp_path / "top"
    for number in range(200):
        folder = top / "/".join(str((number >> bit) & 1) for bit in range(6)) / str(number)
        folder.mkdir(parents=True)
        (folder / "file").touch()
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(remove_tree, top) for _ in range(4)]:
            done.result()
    assert not top.exists()
