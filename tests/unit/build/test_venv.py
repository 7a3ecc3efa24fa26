"""Linking prepared wheels together."""

from __future__ import annotations

import os

import pytest

from jupyter_containers.build.venv import link_trees, make_environment
from jupyter_containers.lock.model import Interpreter


@pytest.fixture
def link(tmp_path):
    """``link({package: {path: content}})`` → (folder, warnings)"""

    def run(packages):
        trees = []
        for name, files in packages.items():
            tree = tmp_path / "prepared" / name
            for path, content in files.items():
                file = tree / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
            trees.append(tree)
        folder, warnings = tmp_path / "venv", []
        folder.mkdir()
        link_trees(trees, list(packages), folder, warn=warnings.append, progress=lambda *_: None)
        return folder, warnings

    return run


def test_files_are_hard_links_and_folders_are_shared(link, tmp_path):
    folder, warnings = link({"a": {"lib/ns/a.py": "a"}, "b": {"lib/ns/b.py": "b"}})
    assert sorted(os.listdir(folder / "lib/ns")) == ["a.py", "b.py"]
    assert (folder / "lib/ns/a.py").samefile(tmp_path / "prepared/a/lib/ns/a.py")
    assert warnings == []


def test_the_same_file_in_two_packages_is_no_conflict(link):
    folder, warnings = link({"a": {"lib/ns/__init__.py": "pkgutil"}, "b": {"lib/ns/__init__.py": "pkgutil"}})
    assert (folder / "lib/ns/__init__.py").read_text() == "pkgutil"
    assert warnings == []


def test_of_two_different_files_the_later_package_s_is_taken_and_told(link, tmp_path):
    folder, warnings = link({"a": {"lib/x.py": "a"}, "b": {"lib/x.py": "b"}})
    assert (folder / "lib/x.py").read_text() == "b"
    assert (tmp_path / "prepared/a/lib/x.py").read_text() == "a"
    (warning,) = warnings
    assert "lib/x.py is in a and in b" in warning


def test_a_file_and_a_folder_of_one_name(link):
    folder, warnings = link({"a": {"lib/x": "file"}, "b": {"lib/x/y": "in folder"}, "c": {"lib/x": "file again"}})
    assert (folder / "lib/x").read_text() == "file again"
    assert len(warnings) == 2


def test_a_package_s_link_does_not_lead_others_out(link, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    evil = tmp_path / "prepared/a/lib"
    evil.parent.mkdir(parents=True)
    evil.symlink_to(outside)
    tree_b = tmp_path / "prepared/b/lib"
    tree_b.mkdir(parents=True)
    (tree_b / "x.py").write_text("b")
    folder = tmp_path / "venv"
    folder.mkdir()
    link_trees([evil.parent, tree_b.parent], ["a", "b"], folder, warn=lambda text: None, progress=lambda *_: None)
    assert os.listdir(outside) == []
    assert (folder / "lib/x.py").read_text() == "b"


def test_an_environment_without_packages(tmp_path):
    make_environment(tmp_path / "venv", Interpreter(version="3.13", path="/usr/bin/python3.13", full_version="3.13.5"))
    assert os.readlink(tmp_path / "venv/bin/python") == "/usr/bin/python3.13"
    assert (tmp_path / "venv/bin/python3.13").readlink().name == "python"
    text = (tmp_path / "venv/pyvenv.cfg").read_text()
    assert "home = /usr/bin\n" in text
    assert "version = 3.13.5\n" in text


def test_a_package_does_not_become_the_interpreter(link):
    folder, warnings = link({"evil": {"bin/python": "evil", "bin/python3.13/x": "evil", "pyvenv.cfg": "home = /evil"}})
    make_environment(folder, Interpreter(version="3.13", path="/usr/bin/python3.13"))
    assert os.readlink(folder / "bin/python") == "/usr/bin/python3.13"
    assert os.readlink(folder / "bin/python3.13") == "python"
    assert "evil" not in (folder / "pyvenv.cfg").read_text()
    assert warnings == []
