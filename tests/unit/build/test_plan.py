"""Step ids: everything that can change a result, and nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from jupyter_containers.build.plan import AptStep, BaseStep, CopyStep, PythonStep, RunStep, plan
from jupyter_containers.errors import LockError
from jupyter_containers.lock.model import ArtifactHash, Base, DebianPackage, Interpreter, Lock, PythonPackages
from jupyter_containers.spec.model import Build, Copy, EnvironmentSpec, LoadedSpec, Mount, Packages

replace = msgspec.structs.replace


def package(name, sha256="0" * 64, **fields):
    defaults = {"version": "1", "architecture": "amd64", "filename": f"pool/{name}.deb", "size": 10}
    return DebianPackage(name=name, sha256=sha256, **{**defaults, **fields})


def wheel(name, sha256):
    filename = f"{name}-1.0-py3-none-any.whl"
    return {"name": name, "version": "1.0", "wheels": [{"name": filename, "url": f"https://x/{filename}", "size": 1,
                                                        "hashes": {"sha256": sha256}}]}  # fmt: skip


BASE = Base(
    kind="debian", source="debian:trixie", suite="trixie", archive="https://a/debian",
    packages={"amd64": (package("base-files"), package("python3.13-minimal"))},
)  # fmt: skip
PYTHON = PythonPackages(
    interpreter=Interpreter(version="3.13", path="/usr/bin/python3.13"),
    pylock={"lock-version": "1.0", "packages": [wheel("six", "a" * 64)]},
)
LOCK = Lock(
    spec_digest="sha256:0", base=BASE, apt={"amd64": (package("tree"),)}, python=PYTHON,
    inputs=(ArtifactHash(path="data.txt", sha256="b" * 64),),
)  # fmt: skip
SPEC = EnvironmentSpec(
    name="x",
    packages=Packages(apt=("tree",), pip=("six",)),
    build=Build(copy=(Copy(source="data.txt", target="/home/jovyan/data.txt"),), run=("make it",), env={"A": "1"}),
)
LOADED = LoadedSpec(spec=SPEC, folder=Path("/project"))


def ids(loaded=LOADED, lock=LOCK):
    return [step.id for step in plan(loaded, lock, "amd64")]


def changed(before, after):
    return [a != b for a, b in zip(before, after, strict=True)]


def test_steps_come_in_order_and_are_chained():
    steps = plan(LOADED, LOCK, "amd64")
    assert [type(step) for step in steps] == [BaseStep, AptStep, PythonStep, CopyStep, RunStep]
    assert [step.parent for step in steps] == ["", *(step.id for step in steps[:-1])]
    assert ids() == ids()


@pytest.mark.parametrize(
    "loaded",
    [
        replace(LOADED, folder=Path("/elsewhere")),
        replace(LOADED, spec=replace(SPEC, name="y", display_name="Y", labels={"a": "b"}, network="full")),
        replace(LOADED, spec=replace(SPEC, mounts=(Mount(source=".", target="/data"),))),
    ],
)
def test_what_does_not_touch_the_files_changes_no_id(loaded):
    assert ids(loaded) == ids()


def test_another_mirror_changes_no_id():
    packages = [replace(item, filename=f"other/{item.name}", archive="http://b") for item in BASE.packages["amd64"]]
    moved = replace(BASE, archive="http://mirror/debian", packages={"amd64": tuple(packages)})
    assert ids(lock=replace(LOCK, base=moved, spec_digest="sha256:1")) == ids()


@pytest.mark.parametrize(
    ("lock", "first"),
    [
        (replace(LOCK, base=replace(BASE, packages={"amd64": (package("base-files", "1" * 64),)})), 0),
        (replace(LOCK, apt={"amd64": (package("tree", "1" * 64),)}), 1),
        (replace(LOCK, python=replace(PYTHON, pylock={"packages": [wheel("six", "c" * 64)]})), 2),
        (replace(LOCK, python=replace(PYTHON, interpreter=replace(PYTHON.interpreter, environment="/opt/x"))), 2),
        (replace(LOCK, inputs=(ArtifactHash(path="data.txt", sha256="d" * 64),)), 3),
    ],
)
def test_a_change_of_the_lock_changes_its_step_and_those_after(lock, first):
    assert changed(ids(), ids(lock=lock)) == [number >= first for number in range(5)]


@pytest.mark.parametrize(
    ("build", "first"),
    [
        (replace(SPEC.build, copy=(Copy(source="data.txt", target="/home/jovyan/other.txt"),)), 3),
        (replace(SPEC.build, run=("make that",)), 4),
        (replace(SPEC.build, env={"A": "2"}), 4),
    ],
)
def test_a_change_of_the_build_changes_its_step_and_those_after(build, first):
    assert changed(ids(), ids(replace(LOADED, spec=replace(SPEC, build=build)))) == [n >= first for n in range(5)]


def test_the_order_of_a_lock_does_not_matter():
    packages = BASE.packages["amd64"]
    assert ids(lock=replace(LOCK, base=replace(BASE, packages={"amd64": packages[::-1]}))) == ids()


def test_environments_with_one_interpreter_share_prepared_wheels():
    def key(lock):
        return next(step.interpreter_key for step in plan(LOADED, lock, "amd64") if isinstance(step, PythonStep))

    assert key(replace(LOCK, apt={"amd64": (package("graphviz"),)})) == key(LOCK)
    other = replace(BASE, packages={"amd64": (package("python3.13-minimal", "1" * 64),)})
    assert key(replace(LOCK, base=other)) != key(LOCK)
    assert key(replace(LOCK, base=replace(BASE, digest="sha256:1"))) != key(LOCK)


def test_a_lock_without_the_architecture_is_refused():
    with pytest.raises(LockError, match="arm64"):
        plan(LOADED, LOCK, "arm64")


def test_a_lock_without_the_hash_of_an_input_is_refused():
    with pytest.raises(LockError, match=r"data\.txt"):
        plan(LOADED, replace(LOCK, inputs=()), "amd64")
