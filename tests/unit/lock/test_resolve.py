from __future__ import annotations

import json
import tarfile
import threading
from io import BytesIO

import msgspec
import pytest

from jupyter_containers.errors import (
    ArchiveError,
    CancelledError,
    HashMismatchError,
    ReferenceError,
    ResolutionError,
    SignatureError,
    UnreachableError,
)
from jupyter_containers.lock import resolve as module
from jupyter_containers.lock.apt import fetch_debs
from jupyter_containers.lock.fetch import Fetcher
from jupyter_containers.lock.file import dump_lock, read_lock, write_lock
from jupyter_containers.lock.resolve import archive_cache, check_lock, resolve, spec_digest
from jupyter_containers.spec.model import EnvironmentSpec, Kernel, LoadedSpec, Packages

pytestmark = pytest.mark.usefixtures("own_environment", "amd64")


@pytest.fixture
def amd64(monkeypatch):
    """The small archive has packages for amd64 alone, whichever machine the test runs on."""
    monkeypatch.setattr(module, "host_architecture", lambda: "amd64")
    from jupyter_containers.lock import fit

    monkeypatch.setattr(fit, "host_architecture", lambda: "amd64")


@pytest.fixture
def world(debian, index):
    """A trixie of a dozen packages with its updates and security, and an index with two Python packages."""
    add = debian.add
    add("trixie", "base-files", "13", Essential="yes", Priority="required", Depends="libc6")
    add("trixie", "libc6", "2.41-12", Priority="required")
    add("trixie", "apt", "3.0", Depends="libc6 (>= 2.38)")
    add("trixie", "ca-certificates", "2025", architecture="all")
    add("trixie", "tzdata", "2025b", architecture="all", Priority="required")
    add("trixie", "python3", "3.13.5-1", Depends="python3.13 (>= 3.13.5)")
    add("trixie", "python3.13", "3.13.5-2", Depends="libc6")
    add("trixie", "graphviz", "2.42-1", Depends="libgraph | libother", Recommends="fonts")
    add("trixie", "libgraph", "2.42-1")
    add("trixie", "fonts", "1")
    debian.publish("trixie", stable="stable")
    add("trixie-updates", "tzdata", "2026a", architecture="all", Priority="required")
    debian.publish("trixie-updates", stable="stable-updates")
    add("trixie-security", "libgraph", "2.42-1+deb13u1")
    debian.publish("trixie-security", stable="stable-security")
    index.add("ipykernel", "7.0.0", "alpha")
    index.add("pip", "26.0")
    index.add("alpha", "1.0")
    return debian


@pytest.fixture
def load(tmp_path, index):
    folder = tmp_path / "project"
    folder.mkdir()

    def make(**changes):
        packages = {"index_url": index.url, **changes.pop("packages", {})}
        spec = EnvironmentSpec(name="x", packages=Packages(**packages), **changes)
        return LoadedSpec(spec=spec, folder=folder)

    return make


def debs(packages):
    return {package.name: package.version for package in packages}


def test_base_apt_and_python(world, load, paths, settings, site):
    loaded = load(packages={"apt": ("graphviz",), "pip": ("alpha",)})
    lock = resolve(loaded, paths=paths, settings=settings)
    assert lock.base.suite == "trixie" and lock.base.archive == f"{site.url}/debian"
    assert debs(lock.base.packages["amd64"]) == {
        "apt": "3.0", "base-files": "13", "ca-certificates": "2025", "libc6": "2.41-12", "python3": "3.13.5-1",
        "python3.13": "3.13.5-2", "tzdata": "2026a",
    }  # fmt: skip
    assert debs(lock.apt["amd64"]) == {"graphviz": "2.42-1", "libgraph": "2.42-1+deb13u1"}
    (graph,) = [package for package in lock.apt["amd64"] if package.name == "libgraph"]
    assert graph.archive == f"{site.url}/debian-security"
    interpreter = lock.python.interpreter
    assert (interpreter.version, interpreter.full_version, interpreter.glibc, interpreter.path) == (
        "3.13",
        "3.13.5",
        "2.41",
        "/usr/bin/python3",
    )
    assert [package["name"] for package in lock.python.pylock["packages"]] == ["alpha", "ipykernel", "pip"]
    assert check_lock(loaded, lock) == ()


def test_debs_are_fetched_and_checked(world, load, paths, settings, site):
    lock = resolve(load(packages={"apt": ("graphviz",)}), paths=paths, settings=settings)
    with Fetcher(archive_cache(paths), settings) as fetcher:
        found = fetch_debs(lock.apt["amd64"], base=lock.base, fetcher=fetcher)
        assert {name: path.read_bytes() for name, path in found.items()} == {
            "graphviz": b"graphviz 2.42-1",
            "libgraph": b"libgraph 2.42-1+deb13u1",
        }
        site.files = {path: b"x" * len(content) for path, content in site.files.items()}
        with pytest.raises(HashMismatchError):
            fetch_debs(lock.base.packages["amd64"], base=lock.base, fetcher=fetcher)


def test_lock_is_written_and_fits(world, load, paths, settings):
    loaded = load(packages={"apt": ("graphviz",), "pip": ("alpha",)})
    lock = resolve(loaded, paths=paths, settings=settings)
    write_lock(loaded.lock_file, lock)
    assert read_lock(loaded.lock_file) == lock
    again = resolve(loaded, paths=paths, settings=settings)
    assert dump_lock(again) == dump_lock(lock)


def test_nothing_changed_asks_no_network(world, load, paths, settings, site):
    loaded = load(packages={"apt": ("graphviz",), "pip": ("alpha",)})
    lock = resolve(loaded, paths=paths, settings=settings)
    site.asked.clear()
    assert resolve(loaded, paths=paths, settings=settings, previous=lock) is lock
    assert site.asked == []


def test_added_package_leaves_the_rest(world, load, paths, settings, index):
    first = resolve(load(packages={"pip": ("alpha",)}), paths=paths, settings=settings)
    index.add("alpha", "2.0")
    index.add("beta", "1.0")
    world.add("trixie", "apt", "3.1")
    world.publish("trixie", stable="stable")
    loaded = load(packages={"pip": ("alpha", "beta"), "apt": ("graphviz",)})
    assert check_lock(loaded, first) == ("it lacks the Debian packages graphviz", "it lacks the Python packages beta")
    second = resolve(loaded, paths=paths, settings=settings, previous=first)
    assert msgspec.structs.replace(second.base, date=first.base.date) == first.base  # the archive has gone on
    assert {package["name"]: package["version"] for package in second.python.pylock["packages"]} == {
        "alpha": "1.0",
        "beta": "1.0",
        "ipykernel": "7.0.0",
        "pip": "26.0",
    }


def test_upgrade_of_one_and_of_all(world, load, paths, settings, index):
    loaded = load(packages={"pip": ("alpha",)})
    first = resolve(loaded, paths=paths, settings=settings)
    index.add("alpha", "2.0")
    world.add("trixie", "apt", "3.1")
    world.publish("trixie", stable="stable")
    one = resolve(loaded, paths=paths, settings=settings, previous=first, upgrade=frozenset({"apt"}))
    assert debs(one.base.packages["amd64"])["apt"] == "3.1" and one.python == first.python
    every = resolve(loaded, paths=paths, settings=settings, previous=first, upgrade=True)
    assert every.python.pylock["packages"][0]["version"] == "2.0"
    with pytest.raises(ReferenceError, match="no package nothing to upgrade"):
        resolve(loaded, paths=paths, settings=settings, previous=first, upgrade=frozenset({"nothing"}))


def test_version_that_left_the_archive_moves_up(world, load, paths, settings):
    first = resolve(load(), paths=paths, settings=settings)
    world.stanzas["trixie"] = [text.replace("Version: 3.0", "Version: 3.1") for text in world.stanzas["trixie"]]
    world.publish("trixie", stable="stable")
    second = resolve(load(packages={"apt": ("fonts",)}), paths=paths, settings=settings, previous=first)
    assert debs(second.base.packages["amd64"])["apt"] == "3.1"


def test_python_that_the_suite_does_not_have(world, load, paths, settings):
    with pytest.raises(ResolutionError, match=r"python 3\.11: debian:trixie has Python 3\.13\.5") as caught:
        resolve(load(python="3.11"), paths=paths, settings=settings)
    assert "debian:bookworm has 3.11" in caught.value.hint and "trixie 3.13" in caught.value.message
    assert resolve(load(python=">=3.12,<3.14"), paths=paths, settings=settings).python.interpreter.version == "3.13"
    assert resolve(load(python="3.13"), paths=paths, settings=settings).python is not None


def test_second_interpreter_of_a_suite(world, load, paths, settings):
    world.add("trixie", "python3.14", "3.14.0~rc1-1", Depends="libc6")
    world.publish("trixie", stable="stable")
    lock = resolve(load(python="3.14"), paths=paths, settings=settings)
    assert (lock.python.interpreter.path, lock.python.interpreter.full_version) == ("/usr/bin/python3.14", "3.14.0rc1")
    assert "python3" not in debs(lock.base.packages["amd64"])


def test_no_python(world, load, paths, settings, site):
    kernel = Kernel(argv=("/usr/bin/R", "{connection_file}"), language="r")
    for loaded in (load(python="none", kernel=kernel), load(kernel=kernel)):
        lock = resolve(loaded, paths=paths, settings=settings)
        assert lock.python is None and "python3" not in debs(lock.base.packages["amd64"])
    assert not any(path.startswith("/simple") for path in site.asked)


def test_pinned_version_holds_for_the_base_too(world, load, paths, settings):
    lock = resolve(load(packages={"apt": ("tzdata=2025b",)}), paths=paths, settings=settings)
    assert debs(lock.base.packages["amd64"])["tzdata"] == "2025b"
    with pytest.raises(ResolutionError, match=r"tzdata=1 is not to be had"):
        resolve(load(packages={"apt": ("tzdata=1",)}), paths=paths, settings=settings)
    with pytest.raises(
        ResolutionError, match=r"tzdata=1 is not to be had.*; packages.apt: there is no package 'tzdat'"
    ):
        resolve(load(packages={"apt": ("tzdata=1", "tzdat")}), paths=paths, settings=settings)


def test_alias_of_a_suite_is_locked_by_its_codename(world, load, paths, settings, site):
    for name in ("", "-updates", "-security"):
        root = "debian-security" if name == "-security" else "debian"
        for path in [path for path in site.files if path.startswith(f"/{root}/dists/trixie{name}/")]:
            site.files[path.replace(f"/trixie{name}/", f"/stable{name}/")] = site.files[path]
    assert resolve(load(base="debian:stable"), paths=paths, settings=settings).base.suite == "trixie"


def test_unknown_suite_and_missing_security(world, load, paths, settings, site):
    with pytest.raises(ResolutionError, match="no suite 'hamm'") as caught:
        resolve(load(base="debian:hamm"), paths=paths, settings=settings)
    assert "the test" in str(caught.value)
    del site.files["/debian-security/dists/trixie-security/InRelease"]
    with pytest.raises(ArchiveError, match="has no trixie-security"):
        resolve(load(), paths=paths, settings=settings)
    lock = resolve(load(), paths=paths, settings=msgspec.structs.replace(settings, security=False))
    assert lock.base.suite == "trixie"


def test_security_that_does_not_answer_is_an_error(world, load, paths, settings):
    away = msgspec.structs.replace(settings, security_archives=("http://127.0.0.1:1/debian-security",), retries=0)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1"):
        resolve(load(), paths=paths, settings=away)


def test_forged_suite(world, load, paths, settings):
    world.publish("trixie", sign=False)
    with pytest.raises(SignatureError):
        resolve(load(), paths=paths, settings=settings)


def test_offline_from_what_was_fetched_before(world, load, paths, settings, site):
    loaded = load(packages={"apt": ("graphviz",), "pip": ("alpha",)})
    lock = resolve(loaded, paths=paths, settings=settings)
    site.asked.clear()
    again = resolve(loaded, paths=paths, settings=msgspec.structs.replace(settings, offline=True))
    assert again == lock and site.asked == []


@pytest.mark.parametrize("silent", ["/InRelease", "/Packages", "/simple/", "/files/"])
def test_a_resolution_is_left_at_once_whatever_does_not_answer(world, load, paths, settings, site, silent):
    """The server answers only once the resolution is over."""
    cancel, over = threading.Event(), threading.Event()

    def be_silent(path):
        if silent in path or (silent == "/Packages" and "by-hash" in path):
            cancel.set()
            assert over.wait(60)

    site.trouble.append(be_silent)
    patient = msgspec.structs.replace(settings, idle_timeout=300.0)
    try:
        with pytest.raises(CancelledError, match="stopped while versions were looked for"):
            resolve(load(packages={"pip": ("alpha",)}), paths=paths, settings=patient, cancel=cancel)
    finally:
        over.set()


def test_lock_of_another_architecture(world, load, paths, settings):
    loaded = load()
    lock = resolve(loaded, paths=paths, settings=settings)
    other = msgspec.structs.replace(lock, base=msgspec.structs.replace(lock.base, packages={"arm64": ()}))
    assert check_lock(loaded, other) == ("it has no packages for amd64, only for arm64",)
    with pytest.raises(ArchiveError, match="no packages of main for arm64"):
        resolve(loaded, paths=paths, settings=settings, architectures=("arm64",))


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"network": "full"}, True),
        ({"display_name": "X"}, True),
        ({"labels": {"a": "b"}}, True),
        ({"base": "debian:bookworm"}, False),
        ({"python": "3.13"}, False),
        ({"packages": {"pip": ("alpha",)}}, False),
        ({"packages": {"constraints": ("alpha<2",)}}, False),
        ({"packages": {"index_url": "https://other/simple"}}, False),
        ({"kernel": Kernel(argv=("/usr/bin/R",))}, False),
        ({"packages": {"apt": ("a",)}}, False),
    ],
)
def test_digest_is_of_what_decides_and_nothing_else(load, changes, same):
    assert (spec_digest(load()) == spec_digest(load(**changes))) is same


def test_digest_sees_requirements_of_local_packages_and_not_their_code(load):
    loaded = load(packages={"pip": ("./pkg",)})
    folder = loaded.folder / "pkg"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[project]\nname = 'pkg'\nversion = '1'\n")
    before = spec_digest(loaded)
    (folder / "code.py").write_text("x = 1")
    assert spec_digest(loaded) == before
    (folder / "pyproject.toml").write_text("[project]\nname = 'pkg'\nversion = '1'\ndependencies = ['alpha']\n")
    assert spec_digest(loaded) != before


STATUS = """Package: base-files
Status: install ok installed
Version: 13
Architecture: amd64

Package: libc6
Status: install ok installed
Version: 2.41-11
Architecture: amd64
"""


def root_archive(
    file, *, release="ID=debian\nVERSION_CODENAME=trixie\nPRETTY_NAME='Debian 13'\n", python="usr/bin/python3.13"
):
    with tarfile.open(file, "w:gz") as archive:
        for name, text in {"etc/os-release": release, "var/lib/dpkg/status": STATUS, python: "\x7fELF"}.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            archive.addfile(member, BytesIO(text.encode()))


def test_root_archive_as_base(world, load, paths, settings):
    loaded = load(base="scratch+root.tar.gz", packages={"apt": ("graphviz",), "pip": ("alpha",)})
    root_archive(loaded.folder / "root.tar.gz")
    lock = resolve(loaded, paths=paths, settings=settings)
    assert lock.base.kind == "scratch" and lock.base.digest.startswith("sha256:") and lock.base.packages == {}
    assert debs(lock.apt["amd64"]) == {"graphviz": "2.42-1", "libgraph": "2.42-1+deb13u1"}
    assert (lock.python.interpreter.path, lock.python.interpreter.version, lock.python.interpreter.glibc) == (
        "/usr/bin/python3.13",
        "3.13",
        "2.41",
    )
    write_lock(loaded.lock_file, lock)
    assert read_lock(loaded.lock_file) == lock
    assert resolve(loaded, paths=paths, settings=settings, previous=lock) is lock
    import os

    root_archive(loaded.folder / "root.tar.gz", python="usr/local/bin/python3.13")
    later = loaded.lock_file.stat().st_mtime + 10
    os.utime(loaded.folder / "root.tar.gz", (later, later))
    assert check_lock(loaded, lock) == ("root.tar.gz was changed",)


def test_root_archive_of_another_system(world, load, paths, settings):
    loaded = load(base="scratch+root.tar.gz", packages={"apt": ("graphviz",)})
    root_archive(loaded.folder / "root.tar.gz", release="ID=fedora\nPRETTY_NAME='Fedora 43'\n")
    with pytest.raises(ResolutionError, match="Fedora 43, and packages are resolved for Debian only"):
        resolve(loaded, paths=paths, settings=settings)
    loaded = load(base="scratch+root.tar.gz")
    root_archive(loaded.folder / "root.tar.gz", release="ID=alpine\n")
    with pytest.raises(ResolutionError, match="musl"):
        resolve(loaded, paths=paths, settings=settings)
    root_archive(loaded.folder / "root.tar.gz", python="usr/bin/perl")
    with pytest.raises(ResolutionError, match="has no Python 3"):
        resolve(loaded, paths=paths, settings=settings)
    (loaded.folder / "root.tar.gz").write_bytes(b"no tar")
    with pytest.raises(ArchiveError, match="is no root archive"):
        resolve(loaded, paths=paths, settings=settings)


def test_environment_that_does_not_exist_or_is_not_built(world, load, paths, settings):
    with pytest.raises(ResolutionError, match="env:other"):
        resolve(load(base="env:other"), paths=paths, settings=settings)
    record = {"name": "other", "display_name": "", "spec_file": "/nowhere", "language": "python"}
    (paths.environments / "other.json").write_text(json.dumps(record))
    with pytest.raises(ResolutionError, match="not built yet"):
        resolve(load(base="env:other"), paths=paths, settings=settings)


def test_unknown_kind_of_base(world, load, paths, settings):
    with pytest.raises(ResolutionError, match="no known kind"):
        resolve(load(base="docker.io/library/python"), paths=paths, settings=settings)
