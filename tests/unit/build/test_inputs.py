"""Hashes of the files that go into an image."""

from __future__ import annotations

import hashlib
import os
import stat
import time

import pytest

from jupyter_containers.build.inputs import hash_paths, list_entries
from jupyter_containers.build.sources import copy_tree
from jupyter_containers.errors import SpecError
from jupyter_containers.spec.model import EnvironmentSpec, LoadedSpec


@pytest.fixture
def loaded(tmp_path):
    folder = tmp_path / "project"
    (folder / "data/sub").mkdir(parents=True)
    (folder / "data/a.txt").write_text("a")
    (folder / "data/sub/b.txt").write_text("b")
    (folder / "data/.git").mkdir()
    (folder / "data/.git/HEAD").write_text("x")
    (folder / "data/link").symlink_to("a.txt")
    (folder / "note.ipynb").write_text("{}")
    return LoadedSpec(spec=EnvironmentSpec(name="x"), folder=folder)


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "memory"


def test_a_file_has_the_hash_of_its_bytes(loaded, memory):
    assert hash_paths(loaded, ["note.ipynb"], memory) == {"note.ipynb": hashlib.sha256(b"{}").hexdigest()}


def test_version_control_and_the_lock_are_no_part_of_a_folder(loaded, memory):
    before = hash_paths(loaded, ["data", "."], memory)
    (loaded.folder / "data/.git/HEAD").write_text("y")
    (loaded.folder / "jupyter-container.lock").write_text("lock")
    assert hash_paths(loaded, ["data", "."], memory) == before


@pytest.mark.parametrize("change", ["content", "name", "mode", "link", "new"])
def test_each_change_of_a_folder_changes_its_hash(loaded, memory, change):
    before = hash_paths(loaded, ["data"], memory)
    folder = loaded.folder / "data"
    match change:
        case "content":
            (folder / "sub/b.txt").write_text("c")
        case "name":
            (folder / "a.txt").rename(folder / "aa.txt")
        case "mode":
            (folder / "a.txt").chmod(0o755)
        case "link":
            (folder / "link").unlink()
            (folder / "link").symlink_to("sub/b.txt")
        case "new":
            (folder / "empty").mkdir()
    assert hash_paths(loaded, ["data"], memory) != before


def test_what_was_hashed_is_not_read_again(loaded, memory, monkeypatch):
    now = time.time_ns()
    monkeypatch.setattr("jupyter_containers.build.inputs.time.time_ns", lambda: now + 10_000_000_000)
    true = hash_paths(loaded, ["note.ipynb"], memory)["note.ipynb"]
    (remembered,) = memory.iterdir()
    remembered.write_text(remembered.read_text().replace(true, "f" * 64))
    assert hash_paths(loaded, ["note.ipynb"], memory) == {"note.ipynb": "f" * 64}  # as remembered: it was not read
    (loaded.folder / "note.ipynb").touch()
    assert hash_paths(loaded, ["note.ipynb"], memory) == {"note.ipynb": true}


def test_a_change_in_the_same_second_is_seen(loaded, memory):
    file = loaded.folder / "note.ipynb"
    seen = set()
    for number in range(20):
        file.write_text(f"{number:04}")
        seen.add(hash_paths(loaded, ["note.ipynb"], memory)["note.ipynb"])
    assert len(seen) == 20


def test_all_problems_are_told_together(loaded, memory, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (loaded.folder / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(SpecError) as caught:
        hash_paths(loaded, ["missing", "out", "data"], memory)
    assert len(caught.value.problems) == 2
    assert "outside of the spec's folder" in str(caught.value)


def test_a_pipe_is_refused(loaded, memory):
    os.mkfifo(loaded.folder / "data/pipe")
    with pytest.raises(SpecError, match="neither a file, a folder nor a link"):
        hash_paths(loaded, ["data"], memory)


def test_entries_come_sorted_folders_first(loaded):
    names = [entry.path for entry in list_entries(loaded.folder / "data")]
    assert names == ["", "a.txt", "link", "sub", "sub/b.txt"]


class TestSomebodyWritesMeanwhile:
    """A kernel that runs in the folder puts other things in the places of what has just been looked at."""

    @pytest.fixture
    def secret(self, tmp_path):
        folder = tmp_path / "home"
        folder.mkdir()
        (folder / "b.txt").write_text("secret")
        return folder

    def read_all(self, folder, meanwhile):
        """Contents by path; *meanwhile* is called with each entry's path before it is read."""
        found = {}
        for entry in list_entries(folder):
            meanwhile(entry.path)
            if stat.S_ISREG(entry.mode):
                with entry.open() as stream:
                    found[entry.path] = stream.read()
        return found

    def test_a_link_in_a_file_s_place_is_not_followed(self, loaded, secret):
        file = loaded.folder / "data/a.txt"

        def swap(path):
            if path == "a.txt":
                file.unlink()
                file.symlink_to(secret / "b.txt")

        with pytest.raises(OSError, match="symbolic link"):
            self.read_all(loaded.folder / "data", swap)

    def test_a_link_in_a_folder_s_place_is_not_followed(self, loaded, secret):
        folder = loaded.folder / "data/sub"

        def swap(path):
            if path == "sub":
                folder.rename(loaded.folder / "away")
                folder.symlink_to(secret)

        with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
            self.read_all(loaded.folder / "data", swap)

    def test_a_folder_that_is_moved_away_under_the_reader_stays_the_one_that_is_read(self, loaded, secret):
        folder = loaded.folder / "data/sub"

        def swap(path):
            if path == "sub/b.txt":
                folder.rename(loaded.folder / "away")
                folder.symlink_to(secret)

        assert self.read_all(loaded.folder / "data", swap)["sub/b.txt"] == b"b"

    def test_a_pipe_in_a_file_s_place_is_not_waited_for(self, loaded):
        file = loaded.folder / "data/a.txt"

        def swap(path):
            if path == "a.txt":
                file.unlink()
                os.mkfifo(file)

        with pytest.raises(OSError, match="not a regular file any more"):
            self.read_all(loaded.folder / "data", swap)

    def test_folders_without_end_are_refused(self, loaded, memory):
        place = os.open(loaded.folder / "data", os.O_RDONLY)
        for _ in range(300):
            os.mkdir("d", dir_fd=place)
            below = os.open("d", os.O_RDONLY, dir_fd=place)
            os.close(place)
            place = below
        os.close(place)
        with pytest.raises(SpecError, match="folders within folders"):
            hash_paths(loaded, ["data"], memory)

    def test_a_copy_that_is_not_what_was_hashed_is_seen(self, loaded, memory, tmp_path):
        before = hash_paths(loaded, ["data"], memory)["data"]
        assert copy_tree(loaded.folder / "data", tmp_path / "one") == before
        (loaded.folder / "data/sub/b.txt").write_text("evil")
        assert copy_tree(loaded.folder / "data", tmp_path / "two") != before
