from __future__ import annotations

import json
import os

import pytest

from jupyter_containers.errors import ResolutionError
from jupyter_containers.image.layout import save
from jupyter_containers.image.model import ExecutionConfig, ImageConfig
from jupyter_containers.image.store import Store
from jupyter_containers.lock.bases import Contents, inspect, pick_interpreter
from jupyter_containers.lock.file import write_lock
from jupyter_containers.lock.resolve import check_lock, resolve
from jupyter_containers.spec.model import EnvironmentSpec, LoadedSpec, Packages

STATUS = "Package: libc6\nStatus: install ok installed\nVersion: 2.41-12\nArchitecture: amd64\n"
DEBIAN = 'ID=debian\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'

pytestmark = pytest.mark.usefixtures("own_environment")


def contents(files: dict[str, str], path: str = "") -> Contents:
    return inspect(files.get, files.__contains__, path_variable=path)


def test_order_of_path_decides_and_the_newest_of_a_folder():
    files = dict.fromkeys(
        ["usr/bin/python3.11", "usr/local/bin/python3.12", "usr/local/bin/python3.13", "opt/x/bin/python3.9"], ""
    )
    assert contents(files).interpreters == (
        "/usr/local/bin/python3.13",
        "/usr/local/bin/python3.12",
        "/usr/bin/python3.11",
    )
    assert contents(files, "/opt/x/bin:/usr/bin").interpreters == ("/opt/x/bin/python3.9", "/usr/bin/python3.11")


def test_virtual_environment_is_no_place_for_an_interpreter():
    files = dict.fromkeys(["opt/venv/pyvenv.cfg", "opt/venv/bin/python3.13", "usr/bin/python3.13"], "")
    assert contents(files, "/opt/venv/bin:/usr/bin").interpreters == ("/usr/bin/python3.13",)


def test_facts_of_a_debian():
    status = (
        STATUS + "\nPackage: python3.13\nStatus: install ok installed\nVersion: 3.13.5-2+deb13u5\nArchitecture: amd64\n"
    )
    found = contents({"usr/lib/os-release": DEBIAN, "var/lib/dpkg/status": status, "usr/bin/python3.13": ""})
    assert (found.suite, found.glibc, found.name) == ("trixie", "2.41", "Debian GNU/Linux 13 (trixie)")
    interpreter = pick_interpreter(found, ">=3.13.2", source="oci:x")
    assert (interpreter.version, interpreter.full_version, interpreter.glibc) == ("3.13", "3.13.5", "2.41")


def test_interpreter_that_the_spec_does_not_want():
    found = contents({"usr/bin/python3.12": "", "usr/local/bin/python3.13": ""})
    assert pick_interpreter(found, "3.12", source="oci:x").path == "/usr/bin/python3.12"
    with pytest.raises(ResolutionError, match=r"python 3\.9: oci:x has 3\.13, 3\.12"):
        pick_interpreter(found, "3.9", source="oci:x")


@pytest.fixture
def image(paths):
    """``image(files, PATH)`` → an image of one layer in the store."""

    def make(files: dict[str, str], path: str = "/usr/bin"):
        store = Store(paths.store)
        with store.lease():
            with store.staging() as staging:
                for name, text in files.items():
                    target = staging.fs / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(text)
                layer = store.commit_layer(staging.fs, created_by="test")
            return store.put_image(
                ImageConfig(architecture="amd64", config=ExecutionConfig(env=(f"PATH={path}",))), [layer]
            )

    return make


@pytest.fixture
def load(tmp_path, index):
    folder = tmp_path / "project"
    folder.mkdir()

    def make(base: str, *pip: str, apt=()):
        spec = EnvironmentSpec(name="x", base=base, packages=Packages(pip=pip, apt=apt, index_url=index.url))
        return LoadedSpec(spec=spec, folder=folder)

    return make


FILES = {"etc/os-release": DEBIAN, "var/lib/dpkg/status": STATUS, "usr/bin/python3.13": "ELF"}


def test_image_archive_as_base(image, load, paths, settings, index, debian):
    index.add("ipykernel", "7.0.0")
    index.add("pip", "26.0")
    debian.add("trixie", "graphviz", "1", Depends="libc6 (>= 2.30)")
    debian.publish("trixie")
    debian.publish("trixie-security")
    debian.publish("trixie-updates")
    loaded = load("oci-archive:base.tar", "ipykernel", apt=("graphviz",))
    made = image(FILES)
    save(Store(paths.store), made, loaded.folder / "base.tar")
    lock = resolve(loaded, paths=paths, settings=settings, architectures=("amd64",))
    assert (lock.base.kind, lock.base.digest, lock.base.suite) == ("oci", made.digest, "trixie")
    assert [package.name for package in lock.apt["amd64"]] == ["graphviz"]
    assert lock.python.interpreter.path == "/usr/bin/python3.13"
    write_lock(loaded.lock_file, lock)
    assert check_lock(loaded, lock, paths=paths) == ()
    save(Store(paths.store), image({**FILES, "more": "1"}), loaded.folder / "base.tar")
    later = loaded.lock_file.stat().st_mtime + 10
    os.utime(loaded.folder / "base.tar", (later, later))
    assert check_lock(loaded, lock, paths=paths) == ("base.tar was changed",)


def test_image_of_which_no_python_packages_are_wanted_keeps_its_python_as_it_is(image, load, paths, settings):
    loaded = load("oci-archive:base.tar")
    save(Store(paths.store), image(FILES), loaded.folder / "base.tar")
    lock = resolve(loaded, paths=paths, settings=settings, architectures=("amd64",))
    assert lock.python is None  # its kernel is injected beside it


def test_environment_as_base_keeps_its_python_packages(image, load, paths, settings, index, tmp_path):
    for version in ("1.0", "2.0"):
        index.add("alpha", version)
    index.add("beta", "1.0")
    index.add("ipykernel", "7.0.0")
    index.add("pip", "26.0")
    first = tmp_path / "first"
    first.mkdir()
    made = image({**FILES, "opt/venv/pyvenv.cfg": "", "opt/venv/bin/python3.13": ""}, "/opt/venv/bin:/usr/bin")
    (first / "jupyter-container.toml").write_text('name = "first"\n[packages]\npip = ["alpha"]\n')
    save(Store(paths.store), made, first / "base.tar")
    base = LoadedSpec(
        spec=EnvironmentSpec(
            name="first", base="oci-archive:base.tar", packages=Packages(pip=("alpha==1.0",), index_url=index.url)
        ),
        folder=first,
    )
    write_lock(base.lock_file, resolve(base, paths=paths, settings=settings))
    record = {"name": "first", "display_name": "", "spec_file": str(first), "image": made.digest}
    (paths.environments / "first.json").write_text(json.dumps(record))
    loaded = load("env:first", "beta")
    lock = resolve(loaded, paths=paths, settings=settings)
    assert (lock.base.kind, lock.base.digest) == ("environment", made.digest)
    assert {package["name"]: package["version"] for package in lock.python.pylock["packages"]} == {
        "alpha": "1.0", "beta": "1.0", "ipykernel": "7.0.0", "pip": "26.0",
    }  # fmt: skip
    assert lock.python.interpreter.path == "/usr/bin/python3.13"
    assert check_lock(loaded, lock, paths=paths) == ()
    (paths.environments / "first.json").write_text(json.dumps({**record, "image": "sha256:" + "0" * 64}))
    assert check_lock(loaded, lock, paths=paths) == ("the environment first was built anew",)
