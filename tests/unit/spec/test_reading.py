"""A spec's folder is a stranger's: what is not a plain file inside of it is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.errors import SpecError
from jupyter_containers.spec.load import load_spec
from jupyter_containers.spec.reading import Folder


def problem(folder: Path, name: str = "requirements.txt", **options: int) -> str:
    with pytest.raises(SpecError) as caught:
        Folder(folder).read_text(name, **options)
    (told,) = caught.value.problems
    return str(told)


def test_a_link_inside_of_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("six\n")
    (tmp_path / "requirements.txt").symlink_to("real.txt")

    assert load_spec(tmp_path).spec.packages.pip == ("six",)


def test_a_folder_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "requirements.txt").write_text("six\n")
    (tmp_path / "link").symlink_to("real")

    loaded = load_spec(tmp_path / "link")

    assert loaded.spec.name == "link"
    assert loaded.folder == tmp_path / "link"


def test_a_link_out_of_the_folder_is_refused_without_showing_the_content(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("token = hunter2\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "requirements.txt").symlink_to(tmp_path / "secret")

    with pytest.raises(SpecError, match="leads out of the folder") as caught:
        load_spec(folder)
    assert "hunter2" not in str(caught.value)


def test_a_linked_subfolder_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "requirements.txt").write_text("six\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "binder").symlink_to(tmp_path / "outside")

    with pytest.raises(SpecError, match="leads out of the folder"):
        load_spec(folder)


def test_a_folder_whose_name_only_starts_alike_is_outside(tmp_path: Path) -> None:
    (tmp_path / "folder2").mkdir()
    (tmp_path / "folder2" / "a").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "requirements.txt").symlink_to("../folder2/a")

    assert "leads out of the folder" in problem(tmp_path / "folder")


def test_a_dangling_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").symlink_to("nowhere")

    with pytest.raises(SpecError, match=r"requirements\.txt: does not exist"):
        load_spec(tmp_path)


def test_a_pipe_does_not_stop_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "requirements.txt")

    assert "is not a regular file" in problem(tmp_path)


def test_a_device_and_a_folder_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").symlink_to("/dev/zero")
    (tmp_path / "apt.txt").mkdir()

    assert "is not a regular file" in problem(tmp_path)
    assert "is not a regular file" in problem(tmp_path, "apt.txt")


def test_a_file_is_read_to_its_bound_and_no_further(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("x" * 1025)

    assert len(Folder(tmp_path).read("requirements.txt", limit=1025)) == 1025
    assert "is larger than 1.00 KiB" in problem(tmp_path, limit=1024)


def test_a_sparse_giant_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "jupyter-container.toml", "wb") as stream:
        stream.truncate(1 << 40)

    with pytest.raises(SpecError, match=r"is larger than 1\.00 MiB"):
        load_spec(tmp_path)


def test_text_that_is_not_utf8_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"six\n\xff\xfe\n")

    assert "requirements.txt:2: is not UTF-8 text" in problem(tmp_path)


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"\xef\xbb\xbfsix \\\r\n  >=1\r\nattrs\r\n")

    assert load_spec(tmp_path).spec.packages.pip == ("six >=1", "attrs")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("jupyter-container.toml", "x = " + "[" * 100_000),
        ("environment.yml", "[" * 100_000),
        ("environment.yml", "a: " * 50_000),
        ("a.ipynb", '{"cells": ' + "[" * 100_000),
    ],
)
def test_deep_nesting_is_an_error_and_no_crash(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(SpecError, match=name):
        load_spec(tmp_path / name)


def test_what_is_no_spec_at_all(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"")

    with pytest.raises(SpecError, match="does not exist"):
        load_spec(tmp_path / "nothing")
    with pytest.raises(SpecError, match="is of no format that is read"):
        load_spec(tmp_path / "photo.png")
