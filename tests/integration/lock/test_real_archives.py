"""Against Debian's archives and the Python index: what is resolved is what apt would install."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jupyter_containers.lock.apt import fetch_debs
from jupyter_containers.lock.fetch import Fetcher
from jupyter_containers.lock.file import read_lock, write_lock
from jupyter_containers.lock.pip import select_artifacts
from jupyter_containers.lock.resolve import archive_cache, check_lock, host_architecture, resolve
from jupyter_containers.lock.settings import Settings
from jupyter_containers.lock.signature import keyring_files
from jupyter_containers.paths import Paths
from jupyter_containers.spec.model import EnvironmentSpec, Kernel, LoadedSpec, Packages

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    return Paths(folder / "home", folder / "run").made()


@pytest.fixture
def load(tmp_path):
    def make(base: str = "debian:trixie", *, apt=(), pip=(), **changes):
        return LoadedSpec(
            spec=EnvironmentSpec(name="x", base=base, packages=Packages(apt=apt, pip=pip), **changes), folder=tmp_path
        )

    return make


def test_environment_of_a_notebook(load, paths):
    loaded = load(apt=("graphviz",), pip=("numpy", "pandas", "scikit-learn", "matplotlib"))
    settings = Settings.current()
    lock = resolve(loaded, paths=paths, settings=settings)
    assert lock.python.interpreter.version == "3.13" and lock.python.interpreter.glibc == "2.41"
    names = {package.name for package in lock.base.packages[host_architecture()]}
    assert {"apt", "dpkg", "bash", "ca-certificates", "tzdata", "python3", "libpython3-stdlib"} <= names
    assert not {"python3-pip", "python3-venv", "systemd", "man-db"} & names
    for architecture in (host_architecture(), "arm64", "amd64"):
        artifacts = select_artifacts(lock.python, architecture=architecture)
        assert {"numpy", "pandas", "scikit-learn", "matplotlib", "ipykernel"} <= {item.name for item in artifacts}
        assert all(item.kind == "wheel" for item in artifacts)
    assert write_lock(loaded.lock_file, lock)
    assert read_lock(loaded.lock_file) == lock and check_lock(loaded, lock) == ()


def test_debs_come_with_their_hashes(load, paths):
    settings = Settings.current()
    lock = resolve(
        load(python="none", kernel=Kernel(argv=("/bin/sh", "{connection_file}"), language="sh")),
        paths=paths,
        settings=settings,
    )
    small = [package for package in lock.base.packages[host_architecture()] if package.size < 60_000]
    with Fetcher(archive_cache(paths), settings) as fetcher:
        found = fetch_debs(small, base=lock.base, fetcher=fetcher)
    assert all(found[package.name].stat().st_size == package.size for package in small) and len(small) > 5
    assert all(path.read_bytes().startswith(b"!<arch>\n") for path in found.values())


def test_older_suite_has_its_older_python(load, paths):
    lock = resolve(load("debian:bookworm", pip=("numpy",)), paths=paths, settings=Settings.current())
    assert (lock.python.interpreter.version, lock.python.interpreter.glibc) == ("3.11", "2.36")


def test_other_architecture(load, paths):
    lock = resolve(load(apt=("graphviz",)), paths=paths, settings=Settings.current(), architectures=("amd64", "arm64"))
    assert set(lock.base.packages) == set(lock.apt) == {"amd64", "arm64"}
    assert {package.architecture for package in lock.apt["arm64"]} <= {"arm64", "all"}


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is the reference")
@pytest.mark.parametrize(
    "wishes",
    [
        ("graphviz",),
        ("openssh-client",),
        ("ffmpeg",),
        ("r-cran-irkernel",),
        ("git", "curl", "build-essential"),
        ("default-jdk-headless",),
    ],
)
def test_choice_is_apts(load, paths, tmp_path, wishes):
    settings = Settings.current()
    lock = resolve(load(apt=wishes), paths=paths, settings=settings)
    architecture = host_architecture()
    base = {package.name: package.version for package in lock.base.packages[architecture]}
    ours = {package.name: package.version for package in lock.apt[architecture]}
    theirs = _ask_apt(tmp_path, settings, architecture, lock, wishes)
    # apt lists packages of the base once more, since the status file that we made says less than dpkg's.
    assert {name: version for name, version in theirs.items() if base.get(name) != version} == ours


def _ask_apt(folder: Path, settings: Settings, architecture: str, lock, wishes) -> dict[str, str]:
    """What `apt-get install --simulate` would install on top of the lock's base."""
    (folder / "keys").mkdir()
    ring = folder / "keys" / "debian.gpg"
    ring.write_bytes(b"".join(file.read_bytes() for file in keyring_files()))
    lines = []
    for archive, suites in (
        (settings.debian_archives[0], ("trixie", "trixie-updates")),
        (settings.security_archives[0], ("trixie-security",)),
    ):
        lines += [f"deb [signed-by={ring} arch={architecture}] {archive} {suite} main" for suite in suites]
    (folder / "sources.list").write_text("\n".join(lines) + "\n")
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "archives" / "partial").mkdir(parents=True)
    status = [
        f"Package: {package.name}\nStatus: install ok installed\nPriority: optional\nSection: misc\n"
        f"Maintainer: x <x@example.org>\nArchitecture: {package.architecture}\n"
        f"Version: {package.version}\nDescription: x\n"
        for package in lock.base.packages[architecture]
    ]
    (folder / "status").write_text("\n".join(status))
    options = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::State::extended_states": "/dev/null",
        "Dir::Cache": folder,
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "APT::Architecture": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
    }
    command = ["apt-get", *[part for key, value in options.items() for part in ("-o", f"{key}={value}")]]
    environment = {**os.environ, "LC_ALL": "C"}
    subprocess.run([*command, "update", "-qq"], check=True, capture_output=True, env=environment)
    done = subprocess.run(
        [*command, "install", "--simulate", *wishes], check=True, capture_output=True, text=True, env=environment
    )
    return dict(re.findall(r"^Inst (\S+) [^(]*\((\S+)", done.stdout, re.MULTILINE))
