"""Adding packages: the spec's file and the lock together, or neither; and only what the user can have agreed to."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import msgspec
import pytest

from jupyter_containers.build.state import spec_location
from jupyter_containers.environments import Environments
from jupyter_containers.errors import (
    BuildError,
    CancelledError,
    ConflictError,
    ContainerError,
    InputError,
    NotFoundError,
    SpecError,
)
from jupyter_containers.lock.added import MOST_GROUPS, carry_added, note_added
from jupyter_containers.lock.file import dump_lock, parse_lock, read_lock
from jupyter_containers.lock.model import Base, DebianPackage, Interpreter, Lock, PythonPackages
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.runtime.fake import FakeRuntime
from jupyter_containers.runtime.insertion import insert_packages
from jupyter_containers.spec.catalog import Record, find_record, record
from jupyter_containers.spec.grants import grant_of, granted, lock_mark
from jupyter_containers.spec.load import load_spec

SPEC = '# mine\nname = "a"\n\n[packages]\npip = [\n  "six",  # small\n]\n'
IMAGE = "sha256:" + "1" * 64


def make_lock(**versions):
    packages = []
    for name, version in sorted(versions.items()):
        wheel = {"url": f"https://x/{name}-{version}-py3-none-any.whl", "size": 1, "hashes": {"sha256": "0" * 64}}
        packages.append({"name": name, "version": version, "wheels": [wheel]})
    deb = DebianPackage(name="libc6", version="1", architecture="amd64", filename="pool/l.deb", size=1, sha256="0" * 64)
    return Lock(
        spec_digest="sha256:" + "0" * 64,
        base=Base(
            kind="debian", source="debian:trixie", suite="trixie", archive="https://a/debian",
            packages={"amd64": (deb,), "arm64": (msgspec.structs.replace(deb, architecture="arm64"),)},
        ),
        python=PythonPackages(
            interpreter=Interpreter(version="3.13", path="/usr/bin/python3"),
            pylock={"lock-version": "1.0", "created-by": "x", "packages": packages},
        ),
    )  # fmt: skip


class TestGroups:
    def test_what_is_new_is_a_group(self):
        first = make_lock(six="1")
        second = note_added(make_lock(six="1", polars="1", zarr="2"), first)
        assert second.added == (("polars", "zarr"),)
        third = note_added(make_lock(six="1", polars="1", zarr="2", attrs="3"), second)
        assert third.added == (("polars", "zarr"), ("attrs",))
        assert parse_lock(dump_lock(third).encode(), "x") == third

    def test_what_goes_leaves_its_group(self):
        lock = msgspec.structs.replace(make_lock(six="1", a="1", b="1"), added=(("a",), ("b",)))
        assert carry_added(make_lock(six="1", b="1"), lock).added == (("b",),)
        assert carry_added(make_lock(six="1", b="1"), lock, upgrade=frozenset({"six"})).added == (("b",),)
        assert carry_added(make_lock(six="1", b="1"), lock, upgrade=True).added == ()

    def test_there_are_not_too_many(self):
        lock = make_lock(p0="1")
        for number in range(1, 20):
            lock = note_added(make_lock(**{f"p{each}": "1" for each in range(number + 1)}), lock)
        assert len(lock.added) == MOST_GROUPS
        assert sorted(name for group in lock.added for name in group) == sorted(f"p{each}" for each in range(1, 20))
        assert lock.added[-1] == ("p19",)

    @pytest.mark.parametrize("added", [(("nothing",),), (("six",), ("six",)), (("six",),) + ((),) * MOST_GROUPS])
    def test_a_lock_that_can_t_be_right(self, added):
        lock = msgspec.structs.replace(make_lock(six="1"), added=added)
        with pytest.raises(InputError, match="added"):
            parse_lock(dump_lock(lock).encode(), "x")


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    return Paths(tmp_path / "home", tmp_path / "run").made()


@pytest.fixture
def world(paths, tmp_path, monkeypatch):
    """The environment a, built and agreed to; versions are found without a network, builds are remembered."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "jupyter-container.toml").write_text(SPEC)
    (folder / "jupyter-container.lock").write_text(dump_lock(make_lock(six="1")))
    loaded = load_spec(folder)
    content = (folder / "jupyter-container.lock").read_bytes()
    entry = Record(
        name="a", display_name="", spec_file=spec_location(loaded, None), image=IMAGE,
        granted=grant_of(loaded, lock=content),
    )  # fmt: skip
    record(paths, entry)
    found = SimpleNamespace(folder=folder, error=None, builds=[], versions={"six": "1"})

    def lock(loaded, **options):
        names = {re.match(r"[a-z]+", item)[0]: "1" for item in loaded.spec.packages.pip}
        return make_lock(**{**names, **({"helper": "2"} if "polars" in names else {})})

    def build(loaded, *, paths, monitor, cancel=None, build_id="", **options):
        found.builds.append(options)
        if found.error is not None:
            raise found.error
        changed = find_record(paths, "a")
        return SimpleNamespace(record=changed, image=SimpleNamespace(digest="sha256:" + "2" * 64))

    monkeypatch.setattr("jupyter_containers.build.locking.make_lock", lock)
    found.runtime = FakeRuntime()
    found.environments = Environments(paths, found.runtime, builder=build)
    found.text = lambda: (folder / "jupyter-container.toml").read_text()
    return found


def test_spec_and_lock_and_the_user_s_word(world, paths):
    changed = world.environments.packages.add("a", ["polars"])
    assert changed.requirements == ("polars",)
    assert [(item.name, item.version) for item in changed.packages] == [("helper", "2"), ("polars", "1")]
    assert world.text() == SPEC.replace("# small\n", '# small\n  "polars",\n')
    lock = read_lock(world.folder / "jupyter-container.lock")
    assert lock.added == (("helper", "polars"),)
    known = granted(find_record(paths, "a"))
    assert known.lock == lock_mark((world.folder / "jupyter-container.lock").read_bytes())
    assert world.builds == [{"automatic": True}]
    again = world.environments.packages.add("a", ["polars"])
    assert again.requirements == ()
    assert len(world.builds) == 1
    gone = world.environments.packages.remove("a", ["polars"])
    assert [item.name for item in gone.removed] == ["helper", "polars"]
    assert world.text() == SPEC


@pytest.mark.parametrize("error", [BuildError("it broke"), CancelledError("stopped"), KeyboardInterrupt()])
def test_a_build_that_fails_changes_nothing(world, paths, error):
    before = (world.text(), (world.folder / "jupyter-container.lock").read_bytes(), find_record(paths, "a"))
    world.error = error
    with pytest.raises(type(error)):
        world.environments.packages.add("a", ["polars"])
    assert (world.text(), (world.folder / "jupyter-container.lock").read_bytes(), find_record(paths, "a")) == before
    world.error = None
    world.environments.packages.add("a", ["polars"])


def test_what_somebody_else_wrote_meanwhile_stays(world):
    def build(*arguments, **options):
        (world.folder / "jupyter-container.toml").write_text("# theirs\n" + SPEC)
        raise BuildError("it broke")

    world.environments._builder = build
    with pytest.raises(BuildError):
        world.environments.packages.add("a", ["polars"])
    assert world.text() == "# theirs\n" + SPEC


@pytest.mark.parametrize(
    "change", ['network = "full"\n', '[[mounts]]\nsource = "~"\ntarget = "/data"\n', '[build]\nrun = ["curl x"]\n']
)
def test_the_word_for_a_package_is_none_for_the_rest(world, change):
    """What a kernel has put into the spec is not agreed to by the way."""
    top, rest = ("", change) if change.startswith("[") else (change, "")
    (world.folder / "jupyter-container.toml").write_text(top + SPEC + rest)
    with pytest.raises(InputError, match="asks for more of this host"):
        world.environments.packages.add("a", ["polars"])
    assert "polars" not in world.text()
    assert world.builds == []


def test_a_lock_that_a_kernel_wrote_is_not_built_from(world):
    (world.folder / "jupyter-container.lock").write_text(dump_lock(make_lock(six="666")))
    with pytest.raises(InputError, match="comes with another lock"):
        world.environments.packages.add("a", ["polars"])
    assert "polars" not in world.text()


def test_an_address_is_agreed_to_with_its_package(world, paths):
    world.environments.packages.add("a", ["polars @ https://example.org/polars-1-py3-none-any.whl"])
    assert granted(find_record(paths, "a")).addresses == ("polars @ https://example.org/polars-1-py3-none-any.whl",)


def test_an_environment_that_is_not_built_has_its_spec_changed(world, paths):
    entry = find_record(paths, "a")
    record(paths, msgspec.structs.replace(entry, image=None, granted=None))
    changed = world.environments.packages.add("a", ["polars"])
    assert (changed.requirements, changed.image) == (("polars",), "")
    assert '"polars"' in world.text()
    assert world.builds == []


@pytest.mark.parametrize(
    ("name", "packages", "error"),
    [("nothing", ["six"], NotFoundError), ("a", ["six=="], SpecError), ("a", ["/etc/passwd"], SpecError)],
)
def test_what_can_t_be_added(world, name, packages, error):
    with pytest.raises(error):
        world.environments.packages.add(name, packages)
    assert world.text() == SPEC


def test_another_tool_s_lock_is_left_to_it(world):
    (world.folder / "jupyter-container.toml").unlink()
    (world.folder / "pylock.toml").write_text('lock-version = "1.0"\ncreated-by = "x"\npackages = []\n')
    with pytest.raises(SpecError, match="another tool's"):
        world.environments.packages.add("a", ["polars"])


def test_only_into_a_running_container_of_it(world):
    def box(name, **config):
        return world.runtime.create(ContainerConfig(image=IMAGE, argv=("x",), name=name, **config))

    box("other", image_name="b").start()
    box("stopped", image_name="a")
    for name, error in (("other", ConflictError), ("stopped", ConflictError), ("nothing", NotFoundError)):
        with pytest.raises(error):
            world.environments.packages.add("a", ["polars"], container=name)
        with pytest.raises(error):
            world.environments.packages.start_add("a", ["polars"], container=name)
    assert world.text() == SPEC


def test_one_change_of_an_environment_at_a_time(world):
    go = threading.Event()

    def build(*arguments, cancel, **options):
        go.wait()
        raise BuildError("it broke")

    world.environments._builder = build
    first = world.environments.packages.start_add("a", ["polars"])
    with pytest.raises(ConflictError, match="at work already"):
        world.environments.packages.start_remove("a", ["six"])
    go.set()
    while not world.environments.jobs.page(first.id, -1).ended:
        threading.Event().wait(0.01)
    view = world.environments.jobs.find(first.id)
    assert (view.state, view.error, view.title) == ("failed", "it broke", "Add polars to a")


class Here:
    """A container that is this host, as far as a program of Python is asked for."""

    config = SimpleNamespace(name="here")

    def exec_argv(self, argv, **options):
        return [sys.executable, *argv[1:]]


def make_tree(folder, name, version, content):
    site = folder / "lib" / "site-packages"
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").write_text(content)
    (site / name / "native.so").symlink_to("__init__.py")
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(
        f"{name}/__init__.py,,\n{name}/native.so,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n"
    )
    return folder


def test_files_come_in_and_those_before_go(tmp_path):
    top = tmp_path / "venv"
    (top / "lib" / "site-packages").mkdir(parents=True)
    site = str(top / "lib" / "site-packages")
    options = {"python": "python", "environment": str(top), "packages": site, "cancel": threading.Event()}
    insert_packages(Here(), [make_tree(tmp_path / "old", "mine", "1", "a = 1")], **options)
    assert _version(site, "mine") == "1"
    held = open(f"{site}/mine/__init__.py")  # noqa: SIM115
    insert_packages(
        Here(),
        [make_tree(tmp_path / "new", "mine", "2", "a = 2"), make_tree(tmp_path / "more", "more", "1", "")],
        replaced=["mine"], **options,
    )  # fmt: skip
    assert _version(site, "mine") == "2"
    assert held.read() == "a = 1"
    held.close()
    assert not (top / "lib" / "site-packages" / "mine-1.dist-info" / "METADATA").exists()
    assert (top / "lib" / "site-packages" / "more" / "native.so").is_symlink()


def _version(site, name):
    code = f"import sys; sys.path.insert(0, {site!r}); import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_what_the_container_says_is_told(tmp_path):
    tree = make_tree(tmp_path / "tree", "mine", "1", "x" * 3_000_000)
    options = {"python": "python", "packages": "/nonexistent", "cancel": threading.Event()}
    with pytest.raises(ContainerError, match="No such file or directory") as told:
        insert_packages(Here(), [tree], environment=str(tmp_path / "nowhere"), **options)
    assert "restart" in told.value.hint


def test_cancelled_in_the_middle(tmp_path):
    cancel = threading.Event()
    cancel.set()
    tree = make_tree(tmp_path / "tree", "mine", "1", "")
    (tmp_path / "venv").mkdir()
    options = {"python": "python", "environment": str(tmp_path / "venv"), "packages": "/nonexistent"}
    with pytest.raises(CancelledError):
        insert_packages(Here(), [tree], cancel=cancel, **options)
