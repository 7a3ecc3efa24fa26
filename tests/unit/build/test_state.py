"""What an environment's state is told from."""

from __future__ import annotations

import msgspec
import pytest

from jupyter_containers.build.state import examine, find_outdated, fingerprint, is_of, remember, spec_location
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import Record, record
from jupyter_containers.spec.load import load_spec

replace = msgspec.structs.replace


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path / "home", tmp_path / "run").made()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "jupyter-container.toml").write_text('name = "x"\n[build]\ncopy = [{source = "a", target = "a"}]\n')
    (folder / "jupyter-container.lock").write_text("the lock")
    (folder / "a").write_text("a")
    return folder


@pytest.fixture
def entry(paths, folder):
    """The record of a build that has just been done."""
    loaded = load_spec(folder)
    image = Store(paths.store).put_image(ImageConfig(architecture="amd64"), [])
    from jupyter_containers.build.inputs import hash_paths
    from jupyter_containers.build.state import input_memory

    mark = fingerprint(loaded, b"the lock", hash_paths(loaded, ("a",), input_memory(paths)), paths)
    remember(paths, "x", mark, ("a",))
    made = Record(name="x", display_name="x", spec_file=str(folder), image=image.digest, spec_digest=mark)
    record(paths, made)
    return made


def test_ready_until_something_changes(paths, folder, entry):
    assert examine(entry, paths).status.state == "ready"
    (folder / "notebook.ipynb").write_text("{}")
    assert examine(entry, paths).status.state == "ready"


@pytest.mark.parametrize("change", ["spec", "lock", "input"])
def test_out_of_date(paths, folder, entry, change):
    match change:
        case "spec":
            text = (folder / "jupyter-container.toml").read_text()
            (folder / "jupyter-container.toml").write_text(f"{text}[labels]\na = 'b'\n")
        case "lock":
            (folder / "jupyter-container.lock").write_text("another lock")
        case "input":
            (folder / "a").write_text("b")
    found = examine(entry, paths).status
    assert (found.state, "has changed" in found.reason) == ("out of date", True)


def test_a_missing_lock_or_memory_means_out_of_date(paths, folder, entry):
    (folder / "jupyter-container.lock").unlink()
    assert "is missing" in find_outdated(load_spec(folder), entry, paths)
    assert "earlier version" in find_outdated(load_spec(folder), replace(entry, spec_digest="sha256:0"), paths)


@pytest.mark.parametrize("what", ["spec", "image", "input"])
def test_broken(paths, folder, entry, what):
    match what:
        case "spec":
            (folder / "jupyter-container.toml").write_text("name = ")
        case "image":
            entry = replace(entry, image="sha256:" + "0" * 64)
        case "input":
            (folder / "a").unlink()
    found = examine(entry, paths).status
    assert found.state == "broken"
    assert found.reason


def test_not_built(paths, entry):
    assert examine(replace(entry, image=None), paths).status.state == "not built"


def test_what_was_read_is_told(paths, folder, entry):
    """So that those who look often need not read it again: the spec, the lock, its inputs, and what may come."""
    found = examine(entry, paths)
    assert {folder, folder / "jupyter-container.toml", folder / "jupyter-container.lock", folder / "a"} <= set(
        found.files
    )
    assert not found.deep
    assert examine(replace(entry, spec_file=str(folder / "gone")), paths).deep


def test_a_base_that_is_an_environment_counts(paths, folder, entry):
    text = (folder / "jupyter-container.toml").read_text()
    (folder / "jupyter-container.toml").write_text(f'base = "env:other"\n{text}')
    loaded = load_spec(folder)
    other = Record(name="other", display_name="", spec_file="/other", image="sha256:1")
    marks = set()
    for image in ("sha256:1", "sha256:2"):
        record(paths, replace(other, image=image))
        marks.add(fingerprint(loaded, b"", {}, paths))
    assert len(marks) == 2


def test_a_base_that_is_a_file_counts(paths, folder):
    (folder / "jupyter-container.toml").write_text('name = "x"\nbase = "oci-archive:base.tar"\n')
    loaded = load_spec(folder)
    marks = set()
    for content in ("", "a", "ab"):
        (folder / "base.tar").write_text(content)
        marks.add(fingerprint(loaded, b"", {}, paths))
    assert len(marks) == 3


def test_where_a_spec_is_read_from(folder):
    loaded = load_spec(folder)
    assert spec_location(loaded, None) == str(folder)
    by_file = Record(name="x", display_name="", spec_file=str(folder / "jupyter-container.toml"))
    assert spec_location(loaded, by_file) == by_file.spec_file
    assert is_of(by_file, loaded)
    assert not is_of(replace(by_file, spec_file="/elsewhere"), loaded)
    (folder / "gpu.toml").write_text('name = "gpu"\n')
    assert spec_location(load_spec(folder / "gpu.toml"), None) == str(folder / "gpu.toml")
