"""What a listed environment wants of its user's word; the builds that are refused for it are in test_consent."""

from __future__ import annotations

import msgspec
import pytest

from jupyter_containers.build.asks import find_asks
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import Record
from jupyter_containers.spec.grants import grant_of
from jupyter_containers.spec.load import load_spec


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path / "home", tmp_path / "run").made()


@pytest.fixture
def spec(tmp_path):
    folder = tmp_path / "spec"
    folder.mkdir()

    def write(text: str, *, lock: str = "", granted: bool = False) -> Record:
        (folder / "jupyter-container.toml").write_text(f'name = "x"\n{text}')
        if lock:
            (folder / "jupyter-container.lock").write_text(lock)
        entry = Record(name="x", display_name="x", language="python", spec_file=str(folder))
        return msgspec.structs.replace(entry, granted=grant_of(load_spec(folder))) if granted else entry

    return write


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ('packages.pip = ["six"]', ()),
        ('network = "full"', ("network: network = 'full'",)),
        ('build.run = ["make"]', ("build.run: the step 'make', which has network",)),
        ('packages.pip = ["x @ https://a.example/x.whl"]', ("packages.pip: x @ https://a.example/x.whl",)),
        ("no such key", ()),
    ],
)
def test_of_an_environment_that_was_never_built(spec, paths, text, asks):
    found = find_asks(spec(text), paths)
    assert found[: len(asks)] == asks
    assert bool(found) == bool(asks)


def test_a_lock_of_somebody_else(spec, paths):
    (line,) = find_asks(spec("", lock="version = 1\n"), paths)
    assert line == "jupyter-container.lock was not written by a build of yours"


def test_steps_over_what_is_resolved_anew(spec, paths):
    """The user has agreed to them, over another image."""
    assert find_asks(spec('build.run = ["make"]', granted=True), paths) == ("build.run: the step 'make' again",)
    assert find_asks(spec('network = "full"', granted=True), paths) == ()
