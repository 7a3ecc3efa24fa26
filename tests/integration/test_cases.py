"""Every case folder that says it can be built: built from a copy, and its ``verify`` run in a container of it."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from jupyter_containers.build.ensure import ensure_built
from jupyter_containers.environments import Environments
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import BindMount

CASES = Path(__file__).parents[1] / "cases"
BUILDABLE = [
    folder.name
    for folder in sorted(CASES.iterdir())
    if folder.is_dir() and tomllib.loads((folder / "expect.toml").read_text()).get("build")
]

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_there_are_thirty_cases_and_most_formats_are_built():
    assert len([folder for folder in CASES.iterdir() if folder.is_dir()]) >= 30
    assert len(BUILDABLE) >= 20


@pytest.mark.parametrize("name", BUILDABLE)
def test_case(name: str, shared_home: Paths, tmp_path: Path):
    expected = tomllib.loads((CASES / name / "expect.toml").read_text())
    # The folder stays where it is from run to run, so that the catalog knows the environment again.
    folder = shared_home.home / "cases" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CASES / name, folder, symlinks=True)
    built = ensure_built(folder / expected.get("path", ""), paths=shared_home)
    container = Environments(shared_home).create(
        built.image.digest,
        ("/case/verify",),
        mounts=(BindMount(source=str(folder), target="/case"),),
        cwd="/case",
        die_with_parent=True,
    )
    try:
        container.start()
        code = container.wait(60)
        output = container.logs()
    finally:
        container.remove(force=True)
    assert (code, output) == (0, "")
