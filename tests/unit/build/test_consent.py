"""What a build that nobody asked for may run: what the user's own build has run, and nothing else."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from jupyter_containers.build.consent import Consent
from jupyter_containers.build.plan import BaseStep, PythonStep, RunStep
from jupyter_containers.errors import InputError
from jupyter_containers.image.store import Store
from jupyter_containers.lock.model import Base, Interpreter
from jupyter_containers.lock.pip import Artifact
from jupyter_containers.spec.catalog import Record
from jupyter_containers.spec.load import load_spec

LOCK = b"version = 1\n"


def digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def run_step(name: str) -> RunStep:
    return RunStep(id=digits(name), title="run", command="make", env={})


def base_step(kind: str = "debian", digest: str = "") -> BaseStep:
    base = Base(kind=kind, source=f"{kind}:x", digest=digest)
    return BaseStep(id=digits(kind), title="base", base=base, architecture="amd64", packages=())


def python_step(*artifacts: Artifact, inputs: dict[str, str] | None = None, parent: str = "p") -> PythonStep:
    return PythonStep(
        id=digits(repr((artifacts, inputs))), title="python", parent=parent, interpreter_key="k", architecture="amd64",
        interpreter=Interpreter(version="3.13", path="/usr/bin/python3"), artifacts=artifacts, inputs=inputs or {},
    )  # fmt: skip


FOLDER = Artifact("thing", "1", "directory", "thing", "thing", "")
SDIST = Artifact("docopt", "0.6.2", "sdist", "docopt-0.6.2.tar.gz", "https://x/docopt-0.6.2.tar.gz", "a" * 64)
WHEEL = Artifact("six", "1", "wheel", "six-1-py3-none-any.whl", "https://x/six-1-py3-none-any.whl", "b" * 64)
CLONE = Artifact("git", "1", "vcs", "git", "git+https://x/y@abc", "")


@pytest.fixture
def house(tmp_path):
    """``house(steps)`` → a function that makes the consent of what follows the user's build of *steps*."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "jupyter-container.toml").write_text('name = "lab"\n')
    loaded = load_spec(folder)
    store = Store(tmp_path / "store")

    def build(*steps):
        own = Consent(loaded, None, store, automatic=False)
        own.check_code(steps)
        entry = Record(name="lab", display_name="", spec_file=str(folder), granted=own.agreed(LOCK))
        return Consent(loaded, entry, store, automatic=True)

    build.loaded, build.store = loaded, store
    return build


def test_what_the_user_has_built_may_be_built_again(house):
    steps = (base_step("oci", "sha256:1"), python_step(FOLDER, SDIST, WHEEL, CLONE, inputs={"thing": "c" * 64}))
    consent = house(*steps, run_step("one"))
    consent.check_code((*steps, run_step("one")))
    consent.check_code((*steps,))  # less is no matter
    consent.check_lock(LOCK)
    consent.check_lock(None)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (python_step(FOLDER, inputs={"thing": "c" * 64}), python_step(FOLDER, inputs={"thing": "d" * 64}), "./thing"),
        (python_step(WHEEL), python_step(WHEEL, SDIST), "docopt 0.6.2"),
        (python_step(CLONE), python_step(CLONE, parent="other git"), "git 1"),
        (run_step("one"), run_step("the same line over another file"), "`make`"),
        (base_step("oci", "sha256:1"), base_step("oci", "sha256:2"), "oci:x as it is now"),
        (base_step(), base_step("environment", "sha256:1"), "environment:x"),
    ],
    ids=["folder", "source archive", "repository", "run step", "archive as base", "another environment as base"],
)
def test_other_code_is_refused(house, before, after, told):
    with pytest.raises(InputError, match="other code") as caught:
        house(before).check_code([after])
    assert told in str(caught.value)
    assert "`jupyter containers build lab` agrees" in caught.value.hint


def test_other_wheels_are_no_code(house):
    house(python_step()).check_code([python_step(WHEEL)])


def test_an_environment_that_was_built_anew_is_the_same_base(house):
    house(base_step("environment", "sha256:1")).check_code([base_step("environment", "sha256:2")])


def test_what_is_there_already_runs_nothing(house):
    step = run_step("of another environment")
    with house.store.staging() as staging:
        (staging.fs / "file").write_text("x")
        layer = house.store.commit_layer(staging.fs, created_by="x")
        house.store.record_step(step.id, layer)
    house().check_code([step])


def test_a_lock_of_others_is_refused(house):
    with pytest.raises(InputError, match="another lock"):
        house().check_lock(b"version = 1 # with other addresses\n")


@pytest.mark.parametrize("requirement", ["./thing", "x @ https://example.org/x-1-py3-none-any.whl", "./x-1.whl"])
def test_only_names_are_looked_up_anew(house, requirement):
    file = house.loaded.folder / "jupyter-container.toml"
    file.write_text(f'name = "lab"\n[packages]\npip = ["{requirement}", "six"]\n')
    entry = house()._entry
    with pytest.raises(InputError, match="looked up again"):
        Consent(load_spec(house.loaded.folder), entry, house.store, automatic=True).check_resolution()
    Consent(load_spec(house.loaded.folder), entry, house.store, automatic=False).check_resolution()
    file.write_text('name = "lab"\n[packages]\npip = ["six>=1"]\n')
    Consent(load_spec(house.loaded.folder), entry, house.store, automatic=True).check_resolution()


def test_an_automatic_build_grants_nothing(house):
    consent = house(run_step("one"))
    before = msgspec.json.decode(consent._entry.granted)
    consent.check_code([run_step("one")])
    after = msgspec.json.decode(consent.agreed(b"a new lock"))
    assert after["code"] == before["code"]
    assert after["lock"] == hashlib.sha256(b"a new lock").hexdigest()


def test_what_the_user_never_built_has_agreed_to_nothing(house):
    consent = Consent(house.loaded, None, house.store, automatic=True)
    consent.check_code([base_step(), python_step(WHEEL)])
    with pytest.raises(InputError, match="has not been built by you") as caught:
        consent.check_code([run_step("one")])
    assert f"`jupyter containers build {house.loaded.folder}`" in caught.value.hint
    with pytest.raises(InputError, match="not written by a build of yours"):
        consent.check_lock(LOCK)


def test_a_dockerfile_is_built_by_the_user_alone(house):
    folder = house.loaded.folder
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "jupyter-container.toml").write_text('name = "lab"\n[build]\ndockerfile = "Dockerfile"\n')
    entry = house()._entry
    with pytest.raises(InputError, match="Dockerfile would be built again"):
        Consent(load_spec(folder), entry, house.store, automatic=True).check_dockerfile()
    Consent(load_spec(folder), entry, house.store, automatic=False).check_dockerfile()
    house().check_dockerfile()
