"""Bases that are not bootstrapped here, and packages that are built from source."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.build.ensure import Built, ensure_built
from jupyter_containers.build.monitor import Event
from jupyter_containers.errors import BuildError, LockError, UntrustedContentError
from jupyter_containers.image.saving import save
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_an_image_file_as_base_gets_packages_of_both_kinds(shared_home: Paths, small_environment: Built, project, run):
    spec = 'base = "oci-archive:base.tar"\n[packages]\npip = ["tomli"]\napt = ["tree"]\n'
    folder = project("on-oci", spec)
    save(Store(shared_home.store), small_environment.image, folder / "base.tar", compression="none")
    built = ensure_built(folder, paths=shared_home)
    count = len(small_environment.image.layers)
    assert built.image.layers[:count] == small_environment.image.layers
    assert "tree v" in run(built.image, shared_home, "tree", "--version")
    assert run(built.image, shared_home, "python", "-c", "import tomli, ipykernel") == ""

    # Another image in the file than the one that was locked is not taken.
    other = Paths(folder / "home", folder / "run").made()
    save(Store(shared_home.store), built.image, folder / "base.tar", compression="none")
    with pytest.raises(LockError, match=r"base\.tar was changed"):
        ensure_built(folder, paths=other, locked=True)


def test_an_environment_as_base_has_its_packages_and_no_leftovers(
    shared_home: Paths, small_environment: Built, project, run
):
    folder = project("on-small", 'base = "env:small"\n[packages]\npip = ["tomli"]\n')
    built = ensure_built(folder, paths=shared_home)
    code = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions()))"
    names = run(built.image, shared_home, "python", "-c", code)
    assert all(f"'{name}'" in names for name in ("six", "tomli", "ipykernel"))
    assert names.count("'six'") == 1


def test_a_root_archive_as_base(shared_home: Paths, small_environment: Built, project, run):
    folder = project("on-root", 'base = "scratch+root.tar"\n[packages]\npip = ["tomli"]\n')
    subprocess.run(["tar", "-C", small_environment.image.layer_paths[0], "-cf", folder / "root.tar", "."], check=True)
    built = ensure_built(folder, paths=shared_home)
    assert run(built.image, shared_home, "python", "-c", "import tomli; print(tomli.__name__)") == "tomli\n"


def test_a_hostile_root_archive_is_refused(shared_home: Paths, project):
    folder = project(
        "hostile",
        'base = "scratch+root.tar"\npython = "none"\n[kernel]\nargv = ["/x", "{connection_file}"]\nlanguage = "x"\n',
    )
    with tarfile.open(folder / "root.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../../evil"))
    with pytest.raises(UntrustedContentError):
        ensure_built(folder, paths=shared_home)


PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "mypkg"
version = "0.3"
[project.scripts]
mytool = "mypkg:main"
"""


@pytest.fixture
def local_package(project: Callable[..., Path]) -> Path:
    """A project with a Python package of its own in ``mypkg``."""
    folder = project("local", '[packages]\npip = ["./mypkg"]\n')
    package = folder / "mypkg/src/mypkg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def main(): print('one')\n")
    (folder / "mypkg/pyproject.toml").write_text(PYPROJECT)
    return folder


def test_a_local_package_is_built_in_the_sandbox_from_a_copy(shared_home: Paths, local_package: Path, run):
    before = sorted(path.relative_to(local_package) for path in (local_package / "mypkg").rglob("*"))
    built = ensure_built(local_package, paths=shared_home)
    assert run(built.image, shared_home, "mytool") == "one\n"
    assert sorted(path.relative_to(local_package) for path in (local_package / "mypkg").rglob("*")) == before
    (local_package / "mypkg/src/mypkg/__init__.py").write_text("def main(): print('two')\n")
    again = ensure_built(local_package, paths=shared_home)
    assert run(again.image, shared_home, "mytool") == "two\n"


def test_a_package_that_needs_a_compiler_says_so(shared_home: Paths, local_package: Path):
    (local_package / "mypkg/setup.py").write_text(
        "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('mypkg.fast', ['fast.c'])])\n"
    )
    (local_package / "mypkg/fast.c").write_text("#include <Python.h>\n")
    with pytest.raises(BuildError) as caught:
        ensure_built(local_package, paths=shared_home)
    assert "build-essential" in caught.value.hint
    assert "build mypkg" in str(caught.value)


def test_adding_a_package_prepares_only_that_one(shared_home: Paths, small_environment: Built, project):
    folder = project("one-more", '[packages]\npip = ["six", "tomli"]\n')
    before = ensure_built(folder, paths=shared_home)
    (folder / "jupyter-container.toml").write_text(
        'name = "test-one-more"\n[packages]\npip = ["six", "tomli", "pytz"]\n'
    )
    events: list[Event] = []
    after = ensure_built(folder, paths=shared_home, monitor=events.append)
    prepared = {event.total for event in events if event.kind == "progress" and event.text == "wheels"}
    assert prepared <= {1}
    first, second = (
        next((built.image.layer_paths[-1] / "opt/venv/lib").glob("python3.*/site-packages/six.py"))
        for built in (before, after)
    )
    assert first.samefile(second)  # one file on disk, whichever environment has it


def test_a_package_that_has_no_wheel_is_built_once(shared_home: Paths, small_environment: Built, project, run):
    folder = project("sdist", '[packages]\npip = ["docopt==0.6.2"]\n')
    built = ensure_built(folder, paths=shared_home)
    assert run(built.image, shared_home, "python", "-c", "import docopt; print(docopt.__version__)") == "0.6.2\n"
    events: list[Event] = []
    again = ensure_built(folder, paths=shared_home, no_cache=True, monitor=events.append)
    assert again.image.digest == built.image.digest
    assert not any("from source" in event.text for event in events)
