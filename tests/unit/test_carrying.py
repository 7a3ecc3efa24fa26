"""Notebooks that carry their environment: what goes in comes out elsewhere as the same, once its user agrees."""

from __future__ import annotations

import json
from types import SimpleNamespace

import msgspec
import pytest

from jupyter_containers.build import state
from jupyter_containers.carrying import Checked
from jupyter_containers.environments import Environments
from jupyter_containers.errors import BuildError, ConflictError, ContainersError, InputError, UnreachableError
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.image.store import Store
from jupyter_containers.jobs import Control
from jupyter_containers.lock.file import dump_lock
from jupyter_containers.lock.fit import spec_digest
from jupyter_containers.lock.model import ArtifactHash, Base, DebianPackage, Interpreter, Lock, PythonPackages
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.fake import FakeRuntime
from jupyter_containers.spec.catalog import Record, find_record, list_records, record
from jupyter_containers.spec.grants import granted
from jupyter_containers.spec.load import load_spec

SPEC = 'name = "thesis"\nnetwork = "full"\n\n[packages]\npip = ["six"]\n'


def make_lock(loaded, **fields):
    hashes = {"sha256": "0" * 64}
    wheel = {"url": "https://files.pythonhosted.org/six-1-py3-none-any.whl", "size": 1, "hashes": hashes}
    sdist = {"url": "https://example.org/slow-1.tar.gz", "size": 1, "hashes": hashes}
    packages = [
        {"name": "six", "version": "1", "wheels": [wheel]},
        {"name": "slow", "version": "1", "sdist": sdist},
    ]
    deb = DebianPackage(name="libc6", version="1", architecture="amd64", filename="pool/l.deb", size=1, sha256="0" * 64)
    lock = Lock(
        spec_digest=spec_digest(loaded),
        base=Base(
            kind="debian", source="debian:trixie", suite="trixie", archive="http://deb.debian.org/debian",
            packages={"amd64": (deb,), "arm64": (msgspec.structs.replace(deb, architecture="arm64"),)},
        ),
        python=PythonPackages(
            interpreter=Interpreter(version="3.13", path="/usr/bin/python3"),
            pylock={"lock-version": "1.0", "created-by": "x", "packages": packages},
        ),
    )  # fmt: skip
    return msgspec.structs.replace(lock, **fields)


def put_image(paths, author):
    return Store(paths.store).put_image(ImageConfig(architecture="amd64", author=author), [])


def build(paths, folder, **fields):
    """An environment as a build leaves it."""
    folder.mkdir()
    (folder / "jupyter-container.toml").write_text(SPEC)
    loaded = load_spec(folder)
    content = dump_lock(make_lock(loaded, **fields))
    loaded.lock_file.write_text(content)
    image = put_image(paths, "thesis")
    mark = state.fingerprint(loaded, content.encode(), {}, paths)
    state.remember(paths, "thesis", mark, ())
    entry = Record(name="thesis", display_name="", spec_file=str(folder), image=image.digest, spec_digest=mark)
    record(paths, entry)


class Place:
    """A machine of its own: a home, and the image that its builds give, by an author's name, or how they fail."""

    def __init__(self, folder):
        folder.mkdir()
        self.paths = Paths(folder / "home", folder / "run").made()
        self.builds = []
        self.gives = "thesis"
        self.environments = Environments(self.paths, FakeRuntime(), builder=self.build)

    def build(self, loaded, *, paths, monitor, cancel=None, build_id="", **options):
        self.builds.append((loaded, options))
        if isinstance(self.gives, Exception):
            raise self.gives
        image = put_image(paths, self.gives)
        entry = msgspec.structs.replace(find_record(paths, loaded.spec.name), image=image.digest)
        record(paths, entry)
        return SimpleNamespace(record=entry, image=image)

    @property
    def names(self):
        return [entry.name for entry in list_records(self.paths)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    return Place(tmp_path / "here")


@pytest.fixture
def there(tmp_path):
    return Place(tmp_path / "there")


@pytest.fixture
def carried(home, tmp_path):
    """What a notebook has in its metadata, as JSON gives it."""
    build(home.paths, tmp_path / "thesis")
    return json.loads(json.dumps(msgspec.to_builtins(home.environments.carrying.carry("thesis"))))


def noting():
    notes = []
    return notes, Control(lambda note="", **fields: notes.append(note) if note else None)


def test_what_is_carried(home, carried, tmp_path):
    assert carried["version"] == 1
    assert carried["spec"] == SPEC
    assert carried["lock"] == (tmp_path / "thesis" / "jupyter-container.lock").read_text()
    assert carried["digest"] == find_record(home.paths, "thesis").image
    assert home.environments.carrying.check(carried) == Checked(
        state="present", environment="thesis", digest=carried["digest"], trusted=True
    )


def test_registries_that_have_it_are_named(home, carried):
    home.environments.store.tag("localhost:5000/me/thesis:1", carried["digest"])
    found = home.environments.carrying.carry("thesis", references=["ghcr.io/me/thesis"])
    assert found.references == ("ghcr.io/me/thesis:latest", "localhost:5000/me/thesis:1")


def test_only_what_is_ready_is_carried(home, carried, tmp_path):
    (tmp_path / "thesis" / "jupyter-container.toml").write_text(SPEC + 'constraints = ["six<2"]\n')
    with pytest.raises(ConflictError, match="out of date"):
        home.environments.carrying.carry("thesis")


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": (ArtifactHash(path="data.txt", sha256="0" * 64),)},
        {"base": Base(kind="environment", source="env:other", digest="sha256:" + "0" * 64)},
    ],
)
def test_what_a_notebook_can_t_carry_is_told(home, tmp_path, fields):
    build(home.paths, tmp_path / "more", **fields)
    with pytest.raises(InputError) as told:
        home.environments.carrying.carry("thesis")
    assert "share" in told.value.hint


def test_check_tells_what_it_would_do_and_does_nothing(there, carried):
    checked = there.environments.carrying.check({**carried, "references": ["ghcr.io/me/thesis"], "limits": {"cpus": 1}})
    assert (checked.state, checked.environment, checked.trusted) == ("missing", "thesis", False)
    assert list(checked.would) == [
        "pull its image from ghcr.io/me/thesis:latest, or build it:",
        "install 1 Debian packages from deb.debian.org",
        "install 2 Python packages from example.org, files.pythonhosted.org: six, slow",
        "run code of slow in a sandbox, to build them",
        "network: the kernels reach what this host reaches",
    ]
    kept = {path.relative_to(there.paths.store) for path in there.paths.store.rglob("*") if path.is_file()}
    assert {str(path) for path in kept} <= {"version", "lock"}
    assert not (there.paths.home / "specs").exists()
    assert there.names == []


def test_built_from_the_lock_as_it_is(there, carried):
    taken = there.environments.carrying.open(carried)
    assert (taken.environment, taken.same, taken.how) == ("thesis", True, "built")
    ((loaded, options),) = there.builds
    assert options["locked"] is True
    assert loaded.lock_file.read_text() == carried["lock"]
    assert loaded.folder == there.paths.home / "specs" / "thesis"
    assert there.environments.carrying.open(carried).how == "present"


def test_another_image_is_told(there, carried):
    there.gives = "another"
    notes, control = noting()
    taken = there.environments.carrying.open(carried, control=control)
    assert (taken.same, taken.expected) == (False, carried["digest"])
    assert any("not the one that the notebook was made with" in note for note in notes)


@pytest.mark.parametrize("error", [BuildError("it broke"), UnreachableError("no network")])
def test_a_build_that_fails_leaves_nothing(there, carried, error):
    there.gives = error
    with pytest.raises(type(error)):
        there.environments.carrying.open(carried)
    assert there.names == []
    assert list((there.paths.home / "specs").iterdir()) == []


def test_pulled_where_a_registry_has_it(there, carried, monkeypatch):
    asked = []

    def pull(self, reference, **options):
        asked.append(reference)
        if reference.startswith("gone"):
            raise UnreachableError("no answer")
        return SimpleNamespace(image=put_image(there.paths, "old" if reference.startswith("old") else "thesis"))

    monkeypatch.setattr("jupyter_containers.shipping.Shipping.pull", pull)
    notes, control = noting()
    references = ["gone.example.org/a", "old.example.org/b", "good.example.org/c"]
    taken = there.environments.carrying.open({**carried, "references": references}, control=control)
    assert (taken.how, taken.same) == ("pulled", True)
    assert asked == [f"{reference}:latest" for reference in references]
    assert there.builds == []
    assert there.environments.view("thesis").state == "ready"
    assert granted(find_record(there.paths, "thesis")).network == "full"
    assert "no answer" in notes[0]
    assert "another image by now" in notes[1]


def test_an_image_that_is_here_is_taken_as_it_is(there, carried):
    put_image(there.paths, "thesis")
    assert there.environments.carrying.open(carried).how == "present"
    assert there.environments.view("thesis").state == "ready"


def test_a_name_that_is_taken(there, carried, tmp_path):
    """It gets another, and the image stays the same: its title is kept."""
    record(there.paths, Record(name="thesis", display_name="", spec_file=str(tmp_path)))
    assert there.environments.carrying.check(carried).environment == "thesis-2"
    assert there.environments.carrying.open(carried).environment == "thesis-2"
    ((loaded, _),) = there.builds
    assert (loaded.spec.name, loaded.spec.display_name) == ("thesis-2", "thesis")


@pytest.mark.parametrize("metadata", [None, {}, {"limits": {"memory": "2G"}}])
def test_a_notebook_that_carries_nothing(there, metadata):
    assert there.environments.carrying.check(metadata).state == "none"
    with pytest.raises(InputError, match="carries no environment"):
        there.environments.carrying.open(metadata)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"digest": "sha256:0"},
        {"digest": None},
        {"name": "../../etc"},
        {"name": "A B"},
        {"spec": "name = "},
        {"spec": 'name = "thesis"\nnetwrok = 1\n'},
        {"spec": SPEC.replace("six", "other")},
        {"lock": ""},
        {"lock": "version = 1\n"},
        {"references": ["A B"]},
        {"references": "x"},
        {"spec": 3},
        {"spec": SPEC + '\n[build]\ncopy = [{ source = "x", target = "x" }]\n'},
        {"name": "a" * 5_000_000},
        {"spec": "#" * 5_000_000},
        {"spec": ".".join("a" * 100_000) + " = 1"},
        {"lock": "#" * 20_000_000},
        {"lock": "x = " + "[" * 100_000},
        {"lock": ".".join("a" * 100_000) + " = 1"},
        {"digest": "sha256:" + "0" * 5_000_000},
        {"references": ["a" * 5_000_000]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_not_valid_is_not_opened(there, carried, change):
    checked = there.environments.carrying.check({**carried, **change})
    assert checked.state == "invalid"
    assert checked.problems
    with pytest.raises(ContainersError):
        there.environments.carrying.open({**carried, **change})
    assert there.names == []
    assert there.builds == []


@pytest.mark.parametrize("metadata", [3, "x", [], {"spec": 1}])
def test_metadata_of_any_shape(there, metadata):
    assert there.environments.carrying.check(metadata).state in ("invalid", "none")


def test_as_a_job(there, carried):
    view = there.environments.carrying.start_open(carried)
    assert view.title == "Open the notebook's environment thesis"
    there.environments.jobs._workers.join(patience=30)
    done = there.environments.jobs.find(view.id)
    assert (done.state, done.result["same"], done.result["environment"]) == ("done", True, "thesis")
