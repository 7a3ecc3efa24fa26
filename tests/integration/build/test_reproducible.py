"""The same lock gives the same image, bit for bit; where two differ it is told why."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import jupyter_containers
from jupyter_containers.build.ensure import ensure_built
from jupyter_containers.environments import Environments
from jupyter_containers.errors import NotFoundError
from jupyter_containers.image.publishing import open_shared, publish_downloads
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import forget

pytestmark = [pytest.mark.network, pytest.mark.slow]

USER = 23457
RUN = "mkdir made; echo 1 > made/file; chmod 750 made; cp /bin/true /usr/local/bin/tool; date > /tmp/now; rm /tmp/now"
SPEC = f"""\
name = "repro"
[packages]
apt = ["tree"]
pip = ["six"]
[build]
copy = [{{ source = "data", target = "data" }}]
run = ["{RUN}"]
"""


@pytest.fixture(scope="module")
def top(shared_home: Paths) -> Iterator[Path]:
    """The project with its lock, and below ``srv`` all that it is made of, for builders without a network."""
    top = Path(tempfile.mkdtemp(prefix="jc-repro-", dir="/var/tmp"))
    top.chmod(0o755)
    write_project(top / "project")
    for name in ("repro", "repro-input", "repro-version", "repro-date"):  # of a run that was broken off
        with suppress(NotFoundError):
            forget(shared_home, name)
    ensure_built(top / "project", paths=shared_home)
    publish_downloads(Store(shared_home.store), open_shared(top / "srv"))
    yield top
    with Environments(shared_home) as environments:
        environments.forget("repro", image=True)
    shutil.rmtree(top)


def write_project(folder: Path) -> None:
    (folder / "data/inner").mkdir(parents=True)
    (folder / "data/inner/file").write_text("content\n")
    (folder / "data/tool").write_text("#!/bin/sh\n")
    (folder / "data/tool").chmod(0o755)
    (folder / "data/link").symlink_to("inner/file")
    (folder / "jupyter-container.toml").write_text(SPEC)


def build(
    top: Path, name: str, *, user: int | None = None, python: str = sys.executable, umask: int, **env: str
) -> str:
    """The digest that a build in a home of its own gives, of a copy of the project with other times and modes."""
    place = top / name
    place.mkdir()
    project = place / "deeper" / "elsewhere"
    shutil.copytree(top / "project", project, symlinks=True)
    for path in [project, *project.rglob("*")]:
        if not path.is_symlink():
            os.utime(path, (10**9 + umask, 10**9 + umask))
            path.chmod(path.stat().st_mode & ~umask)
    if user is not None:
        for path in [place, *place.rglob("*")]:
            os.chown(path, user, user, follow_symlinks=False)
    own = str(Path(jupyter_containers.__file__).parent.parent)
    packages = [own, *(path for path in sys.path if "-packages" in path)]
    done = subprocess.run(
        [python, "-m", "jupyter_containers", "build", str(project), "--locked", "--json"],
        user=user, group=user, extra_groups=[] if user is not None else None, umask=umask, cwd=place,
        capture_output=True, text=True, check=False,
        env={
            "HOME": str(place), "PATH": os.environ["PATH"], "PYTHONPATH": ":".join(packages), "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1", "JUPYTER_CONTAINERS_HOME": str(place / "home"),
            "JUPYTER_CONTAINERS_RUNTIME_DIR": str(place / "run"), "JUPYTER_CONTAINERS_OFFLINE": "1",
            "JUPYTER_CONTAINERS_SHARED_STORES": str(top / "srv"), **env,
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["image"])


def python_for(user: int) -> str:
    """An interpreter that the user may run."""
    for path in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        try:
            if subprocess.run([path, "-c", ""], user=user, group=user, extra_groups=[], check=False).returncode == 0:
                return path
        except OSError:
            continue
    pytest.skip("another user can't run this Python")


def test_two_homes_two_paths_two_times_two_users(top: Path, shared_home: Paths) -> None:
    first = build(top, "first", umask=0o022, TZ="Asia/Tokyo")
    second = build(top, "a-second-home-with-a-longer-name", umask=0o077, TZ="America/New_York", LC_ALL="C")
    with Environments(shared_home) as environments:
        assert {first, second} == {environments.resolve("repro").image}
    # Not only by name: every layer hashes to what it is called.
    for name in ("first", "a-second-home-with-a-longer-name"):
        with Environments(Paths(top / name / "home", top / name / "run")) as environments:
            assert environments.storage.verify() == ()
    if os.geteuid() == 0:
        assert build(top, "user", user=USER, python=python_for(USER), umask=0o027) == first


@pytest.fixture
def changed(top: Path, shared_home: Paths) -> Callable[..., object]:
    """Build the project with a change in the shared home, and compare it with the one without."""

    def compare(name: str, change: Callable[[Path], object]) -> object:
        folder = top / name
        shutil.copytree(top / "project", folder, symlinks=True)
        change(folder)
        with Environments(shared_home) as environments:
            before = environments.resolve("repro").image
            spec = folder / "jupyter-container.toml"
            spec.write_text(spec.read_text().replace('name = "repro"', f'name = "{name}"'))
            built = ensure_built(folder, paths=shared_home)
            difference = environments.storage.compare(before, built.image.digest)
            environments.forget(name, image=True)
        return difference

    return compare


def test_another_input_is_named(changed) -> None:
    def edit(folder: Path) -> None:
        (folder / "data/inner/file").write_text("other\n")

    difference = changed("repro-input", edit)
    assert any("data" in cause and "takes in" in cause for cause in difference.causes), difference.causes
    assert [(file.path, file.changes) for file in difference.files] == [("/home/jovyan/data/inner/file", ("content",))]
    assert len(difference.layers) == 1


def test_other_versions_are_named(changed) -> None:
    def older(folder: Path) -> None:
        spec = folder / "jupyter-container.toml"
        spec.write_text(spec.read_text().replace('"six"', '"six==1.16.0"'))

    difference = changed("repro-version", older)
    assert any("six 1.17.0 → 1.16.0" in cause for cause in difference.causes), difference.causes
    assert any(file.path.endswith("/six.py") for file in difference.files)


def test_a_command_that_does_not_do_the_same_is_named(top: Path, shared_home: Paths) -> None:
    folder = top / "repro-date"
    write_project(folder)
    spec = SPEC.replace("date > /tmp/now; rm /tmp/now", "date +%N > stamp").replace('"repro"', '"repro-date"')
    (folder / "jupyter-container.toml").write_text(spec)
    with Environments(shared_home) as environments:
        digests = [ensure_built(folder, paths=shared_home, no_cache=again).image.digest for again in (False, True)]
        difference = environments.storage.compare(*digests)
        environments.forget("repro-date", image=True)
    assert [file.path for file in difference.files] == ["/stamp"]
    assert difference.causes[0] == "both were made from the same spec and the same lock"
    assert "does not do the same each time" in difference.causes[1]
