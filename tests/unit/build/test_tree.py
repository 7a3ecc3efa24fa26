"""Writing into a tree never leads out of it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

import pytest

from jupyter_containers.build.tree import Tree
from jupyter_containers.errors import ArchiveError


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


def test_files_get_the_mode_and_time_that_are_asked_for_whatever_the_umask(root):
    before = os.umask(0o077)
    try:
        with Tree(root) as tree:
            tree.file("usr/bin/tool", b"x", 0o755, 1_500_000_000)
            tree.folder("var/tmp", 0o1777)
    finally:
        os.umask(before)
    status = (root / "usr/bin/tool").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o755, 1_500_000_000)
    assert stat.S_IMODE((root / "usr/bin").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "var/tmp").stat().st_mode) == 0o1777


@pytest.mark.parametrize("target", ["/", "../outside", "{outside}"])
def test_a_link_out_of_the_tree_stays_in_it(root, outside, target):
    (root / "etc").symlink_to(target.format(outside=outside))
    with Tree(root) as tree:
        with suppress(OSError):  # the link may lead to nothing inside
            tree.file("etc/secret", b"changed", 0o644)
        assert tree.read("etc/../outside/secret") is None
    assert (outside / "secret").read_text() == "secret"


def test_an_absolute_link_means_the_tree_as_its_root(root):
    with Tree(root) as tree:
        tree.folder("run")
        tree.link("var/run", "/run")
        tree.file("var/run/file", b"x", 0o644)
    assert (root / "run/file").read_bytes() == b"x"


def test_a_link_does_not_replace_a_folder(root):
    with Tree(root) as tree:
        tree.file("lib/here", b"x", 0o644)
        tree.link("lib", "usr/lib")
    assert (root / "lib/here").exists()


def test_files_links_and_hard_links_replace_what_was_there(root):
    with Tree(root) as tree:
        tree.file("a", b"1", 0o644)
        tree.file("a", b"2", 0o600)
        tree.file("b", b"b", 0o644)
        tree.hard_link("b", "a")
        tree.link("c", "a")
        tree.link("c", "b")
    assert (root / "b").read_bytes() == b"2"
    assert (root / "a").stat().st_nlink == 2
    assert os.readlink(root / "c") == "b"


def test_removing_does_not_follow_links(root, outside):
    (root / "logs").symlink_to(outside)
    with Tree(root) as tree:
        tree.remove("logs")
        tree.remove("not/there")
    assert not (root / "logs").is_symlink()
    assert (outside / "secret").exists()


def test_a_pipe_is_not_waited_for(root):
    os.mkfifo(root / "pipe")
    with Tree(root) as tree, pytest.raises(ArchiveError, match="not a regular file"):
        tree.read("pipe")


def test_many_folders_do_not_hold_many_descriptors(root):
    with Tree(root) as tree:
        before = len(os.listdir("/proc/self/fd"))
        for number in range(200):
            tree.file(f"folder-{number}/file", b"", 0o644)
        assert len(os.listdir("/proc/self/fd")) - before < 50
