"""A spec that is known by another name than its own: the second clone of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.build.naming import known_as
from jupyter_containers.build.state import fingerprint, spec_location
from jupyter_containers.errors import ReferenceError
from jupyter_containers.kernels.options import KernelOptions
from jupyter_containers.kernels.target import find_entry
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import Record, record
from jupyter_containers.spec.load import load_spec


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "home", tmp_path / "run").made()


@pytest.fixture
def clones(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "first", tmp_path / "second"]
    for folder in made:
        folder.mkdir()
        (folder / "jupyter-container.toml").write_text('name = "intro"\n')
    return made


def keep(paths: Paths, loaded) -> None:
    spec = loaded.spec
    location = spec_location(loaded, None)
    record(paths, Record(name=spec.name, display_name=spec.name, spec_file=location, renamed=loaded.renamed))


def test_a_given_name_stays(paths: Paths, clones: list[Path]) -> None:
    keep(paths, known_as(load_spec(clones[0]), paths))
    given = known_as(load_spec(clones[1]), paths, name="intro-2")
    assert (given.spec.name, given.renamed) == ("intro-2", True)
    keep(paths, given)

    assert known_as(load_spec(clones[1]), paths).spec.name == "intro-2"
    assert known_as(load_spec(clones[1] / "jupyter-container.toml"), paths).spec.name == "intro-2"
    assert known_as(load_spec(clones[0]), paths) == load_spec(clones[0])
    found = find_entry(KernelOptions(spec_file=str(clones[1])), paths)
    assert found is not None and found.name == "intro-2"


def test_a_new_name_in_the_spec_counts_where_none_was_given(paths: Paths, clones: list[Path]) -> None:
    keep(paths, known_as(load_spec(clones[0]), paths))
    (clones[0] / "jupyter-container.toml").write_text('name = "other"\n')
    assert known_as(load_spec(clones[0]), paths).spec.name == "other"


def test_bad_names_are_refused(paths: Paths, clones: list[Path]) -> None:
    with pytest.raises(ReferenceError, match="'intro-2'"):
        known_as(load_spec(clones[1]), paths, name="Intro 2")


def test_what_it_is_called_makes_no_other_environment_of_it(paths: Paths, clones: list[Path]) -> None:
    own, given = load_spec(clones[0]), known_as(load_spec(clones[0]), paths, name="intro-2")
    assert fingerprint(own, b"", {}, paths) == fingerprint(given, b"", {}, paths)
