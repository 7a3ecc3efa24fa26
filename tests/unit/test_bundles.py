"""Environments as files: there and back, and files that are not what they say."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from jupyter_containers.attestations import Attestations
from jupyter_containers.build.ensure import Built
from jupyter_containers.build.inputs import hash_inputs
from jupyter_containers.build.kept import ENVIRONMENT_TYPE, settle
from jupyter_containers.build.state import find_outdated
from jupyter_containers.bundles import Bundles, Opened
from jupyter_containers.errors import ConflictError, ContainersError, InputError, NotFoundError, UntrustedContentError
from jupyter_containers.image.artifacts import Artifact, Part
from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.layout import host_architecture
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.image.saving import save_images
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.lock.file import write_lock
from jupyter_containers.lock.fit import spec_digest
from jupyter_containers.lock.model import Base, DebianPackage, Lock
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import find_record, list_records
from jupyter_containers.spec.grants import grant_of
from jupyter_containers.spec.load import load_spec
from jupyter_containers.views import Resolved

SPEC = """\
# A comment that stays.
[build]
copy = [{ source = "words", target = "words" }, { source = "one.txt", target = "one.txt" }]
"""
SMALL = Bounds(reserve=0)
DEB = DebianPackage(
    name="libc6", version="2.41", architecture="amd64", filename="pool/main/g/glibc/libc6_2.41_amd64.deb", size=1,
    sha256="0" * 64,
)  # fmt: skip


class Place:
    """One user's home on one machine."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "home", root / "run").made()
        self.store = Store(self.paths.store)
        self.installed: list[str] = []
        attestations = Attestations(self.paths, self.store, resolve=self.resolve)
        self.bundles = Bundles(self.paths, self.store, attestations, build=self.build, install=self.installed.append)
        self.attestations = attestations

    def resolve(self, name: str) -> Resolved:
        return Resolved(reference=name, image=find_record(self.paths, name).image or "")

    def build(self, reference: str) -> Built:
        """As a build does, but for the building."""
        loaded = load_spec(Path(reference))
        base = Base(kind="debian", source="debian:trixie", suite="trixie", packages={"amd64": (DEB,)})
        lock = Lock(spec_digest=spec_digest(loaded), base=base)
        lock = msgspec.structs.replace(lock, inputs=hash_inputs(loaded, lock, self.paths.home / "memory"))
        write_lock(loaded.lock_file, lock)
        with self.store.staging() as staging:
            (staging.fs / "motd").write_text("hello")
            layer = self.store.commit_layer(staging.fs, created_by="test")
        image = self.store.put_image(ImageConfig(architecture=host_architecture()), [layer])
        self.store.tag(loaded.spec.name, image.digest)
        content = loaded.lock_file.read_bytes()
        entry = settle(
            loaded, lock, image, self.paths, location=str(loaded.folder), content=content,
            granted=grant_of(loaded, lock=content),
        )  # fmt: skip
        return Built(loaded, image, entry)

    def open(self, path: Path, *, trust: bool = False, **options: Any) -> Opened:
        self.asked: Sequence[str] = ()

        def asked(name: str, wanted: Sequence[str]) -> bool:
            self.asked = wanted
            return trust

        return self.bundles.open(path, trust=asked, bounds=SMALL, **options)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path / "here")
    remove_tree(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path / "there")
    remove_tree(tmp_path / "there")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "lesson"
    (folder / "words/inner").mkdir(parents=True)
    (folder / "words/a.txt").write_text("a")
    (folder / "words/run.sh").write_text("#!/bin/sh\n")
    (folder / "words/run.sh").chmod(0o755)
    (folder / "words/link").symlink_to("a.txt")
    (folder / "one.txt").write_text("1")
    (folder / "not-shared.txt").write_text("secret")
    (folder / "jupyter-container.toml").write_text(SPEC)
    return folder


def test_there_and_back(here: Place, there: Place, project: Path, tmp_path: Path) -> None:
    notebook = tmp_path / "first.ipynb"
    notebook.write_text("{}")
    shared = here.bundles.share(str(project), tmp_path / "a.jcz", notebooks=[notebook])
    opened = there.open(tmp_path / "a.jcz", to=tmp_path / "x" / "lesson")
    assert (opened.name, opened.image, opened.notebooks) == ("lesson", shared.image, ("first.ipynb",))
    assert there.asked == ()
    assert there.installed == ["lesson"]
    folder = opened.folder
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == [
        "first.ipynb", "jupyter-container.lock", "jupyter-container.toml", "one.txt", "words", "words/a.txt",
        "words/inner", "words/link", "words/run.sh",
    ]  # fmt: skip
    assert (folder / "jupyter-container.toml").read_text() == SPEC
    assert (folder / "jupyter-container.lock").read_bytes() == (project / "jupyter-container.lock").read_bytes()
    assert os.access(folder / "words/run.sh", os.X_OK)
    entry = find_record(there.paths, "lesson")
    assert entry.image == shared.image
    assert find_outdated(load_spec(folder), entry, there.paths) == ""
    assert there.store.image("lesson").digest == shared.image
    assert os.listdir(folder.parent) == ["lesson"]
    # What can be said of the image can be said there, too.
    assert json.loads(there.attestations.bill("lesson")) == json.loads(here.attestations.bill("lesson"))


def test_the_same_environment_gives_the_same_bytes(here: Place, there: Place, project: Path, tmp_path: Path) -> None:
    here.bundles.share(str(project), tmp_path / "a.jcz")
    os.utime(project / "words/a.txt", (0, 0))
    here.bundles.share(str(project), tmp_path / "b.jcz")
    there.open(tmp_path / "a.jcz", to=tmp_path / "x" / "lesson")
    there.bundles.share(str(tmp_path / "x" / "lesson"), tmp_path / "c.jcz")
    first = (tmp_path / "a.jcz").read_bytes()
    assert first == (tmp_path / "b.jcz").read_bytes() == (tmp_path / "c.jcz").read_bytes()


def test_another_name(here: Place, there: Place, project: Path, tmp_path: Path) -> None:
    here.bundles.share(str(project), tmp_path / "a.jcz")
    opened = there.open(tmp_path / "a.jcz", name="theirs", to=tmp_path / "elsewhere")
    assert (opened.name, opened.folder) == ("theirs", tmp_path / "elsewhere")
    text = (opened.folder / "jupyter-container.toml").read_text()
    assert text == SPEC.replace("stays.\n", 'stays.\nname = "theirs"\n')
    assert find_outdated(load_spec(opened.folder), find_record(there.paths, "theirs"), there.paths) == ""
    again = there.open(tmp_path / "a.jcz", to=tmp_path / "lesson2")
    assert again.name == "lesson"
    assert load_spec(again.folder).spec.name == "lesson"


def test_a_folder_that_is_an_input_itself(here: Place, there: Place, project: Path, tmp_path: Path) -> None:
    (project / "jupyter-container.toml").write_text('[build]\ncopy = [{ source = ".", target = "all" }]\n')
    here.bundles.share(str(project), tmp_path / "a.jcz")
    for name in ("lesson", "theirs"):
        opened = there.open(tmp_path / "a.jcz", name=name, to=tmp_path / f"{name}-folder")
        assert (opened.folder / "not-shared.txt").read_text() == "secret"  # it is a part of the image
        assert find_outdated(load_spec(opened.folder), find_record(there.paths, name), there.paths) == ""


def test_a_spec_of_other_tools_files_is_written_out(here: Place, there: Place, tmp_path: Path) -> None:
    folder = tmp_path / "course"
    (folder / "binder").mkdir(parents=True)
    (folder / "binder/apt.txt").write_text("graphviz\n")
    here.bundles.share(str(folder), tmp_path / "a.jcz")
    opened = there.open(tmp_path / "a.jcz", to=tmp_path / "x")
    loaded = load_spec(opened.folder)
    assert loaded.spec.packages.apt == ("graphviz",)
    assert loaded.spec.name == "course"
    assert find_outdated(loaded, find_record(there.paths, "course"), there.paths) == ""


def test_what_a_spec_takes_of_the_host_is_asked(here: Place, there: Place, project: Path, tmp_path: Path) -> None:
    (project / "jupyter-container.toml").write_text(
        'network = "full"\nmounts = [{ source = "~/data", target = "/data", mode = "rw" }]\n'
        '[build]\nrun = ["make"]\n[resources]\ngpus = 1\n'
    )
    here.bundles.share(str(project), tmp_path / "a.jcz")
    with pytest.raises(InputError, match="nobody agreed"):
        there.open(tmp_path / "a.jcz", to=tmp_path / "x")
    assert [line.partition(":")[0] for line in there.asked] == [
        "network", "folder", "GPUs", "a step of its build, which has the network",
    ]  # fmt: skip
    assert nothing_is_left(there, tmp_path / "x")
    opened = there.open(tmp_path / "a.jcz", to=tmp_path / "x", trust=True)
    assert find_record(there.paths, opened.name).granted is not None


def nothing_is_left(place: Place, folder: Path) -> bool:
    hidden = [name for name in os.listdir(folder.parent) if name.startswith(".opening")]
    return not list_records(place.paths) and not folder.exists() and not hidden and not place.store.images()


def test_names_and_folders_that_are_taken(here: Place, there: Place, project: Path, tmp_path: Path) -> None:
    here.bundles.share(str(project), tmp_path / "a.jcz")
    there.open(tmp_path / "a.jcz", to=tmp_path / "x")
    with pytest.raises(ConflictError, match="named 'lesson' is there already"):
        there.open(tmp_path / "a.jcz", to=tmp_path / "y")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").touch()
    with pytest.raises(ConflictError, match="not an empty folder"):
        there.open(tmp_path / "a.jcz", name="other", to=tmp_path / "full")
    assert os.listdir(tmp_path / "full") == ["mine"]
    (tmp_path / "empty").mkdir()
    there.open(tmp_path / "a.jcz", name="other", to=tmp_path / "empty")


def test_an_input_that_was_written_to_meanwhile_is_told(here: Place, project: Path, tmp_path: Path) -> None:
    built = here.build(str(project))
    (project / "one.txt").write_text("2")
    bundles = Bundles(here.paths, here.store, here.attestations, build=lambda _: built, install=here.installed.append)
    with pytest.raises(InputError, match=r"one\.txt was changed"):
        bundles.share(str(project), tmp_path / "a.jcz")
    assert not (tmp_path / "a.jcz").exists()


# Files that are not what they say


def packed(*members: tuple[str, dict[str, Any]]) -> bytes:
    """An inputs part."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, given in members:
            fields = dict(given)
            data = fields.pop("data", b"")
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return zstandard.ZstdCompressor().compress(stream.getvalue())


GOOD = ("one.txt", {"data": b"1", "mode": 0o644})
WORDS = ("words", {"type": tarfile.DIRTYPE, "mode": 0o755})
LINK = {"type": tarfile.SYMTYPE}
Change = Callable[[dict[str, Part]], None]


def replaced(title: str, content: bytes) -> Change:
    def change(parts: dict[str, Part]) -> None:
        parts[title] = msgspec.structs.replace(parts[title], content=content)

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda parts: parts.pop("jupyter-container.toml"), "has no jupyter-container.toml"),
        (lambda parts: parts.pop("jupyter-container.lock"), "has no jupyter-container.lock"),
        (lambda parts: parts.pop(""), "'one.txt' does not exist"),
        (replaced("jupyter-container.toml", b"name = 7"), "can't be read: the spec is not valid"),
        (replaced("jupyter-container.toml", b"\xff"), "can't be read"),
        (replaced("jupyter-container.toml", b"#" * (2 << 20)), "a document of 2097152 bytes"),
        (replaced("jupyter-container.toml", SPEC.encode() + b'run = []\n[packages]\napt = ["curl"]\n'), "not the lock"),
        (replaced("jupyter-container.lock", b"version = 99"), "can't be read: jupyter-container.lock is damaged"),
        (replaced("", b"no archive"), "it is cut off"),
        (replaced("", packed(GOOD, WORDS)), "not those that its lock names"),
        (replaced("", packed(GOOD, WORDS, (".git/config", {"data": b"x"}))), r"\.git: is no part of the environment"),
        (replaced("", packed(GOOD, ("words/.git/config", {}))), r"words/\.git: is no part of the environment"),
        (replaced("", packed(GOOD, WORDS, ("jupyter_config.py", {}))), r"jupyter_config\.py: is no part"),
        (replaced("", packed(GOOD, ("../out.txt", {}))), r"\.\."),
        (replaced("", packed(GOOD, ("/etc/out.txt", {}))), "out.txt"),
        (replaced("", packed(GOOD, ("words", {**LINK, "linkname": "/tmp"}), ("words/a", {}))), "symbolic link"),
        (replaced("", packed(GOOD, ("words", {**LINK, "linkname": "/tmp"}))), "can't be read|cannot be read"),
        (replaced("", packed(GOOD, WORDS, ("words/pipe", {"type": tarfile.FIFOTYPE}))), "can't be read|cannot be read"),
        (replaced("", packed(("jupyter-container.lock", {**LINK, "linkname": "/tmp/x"}), GOOD)), "is no file"),
        (replaced("", packed(("jupyter-container.toml", {"type": tarfile.DIRTYPE}), GOOD)), "is no file"),
    ],
)
def test_hostile_files_are_told_and_leave_nothing(
    here: Place, there: Place, project: Path, tmp_path: Path, change: Change, problem: str
) -> None:
    built = here.build(str(project))
    whole = tmp_path / "whole.jcz"
    here.bundles.share(str(project), whole)
    with tarfile.open(whole) as archive:
        blobs = {m.name[-64:]: archive.extractfile(m).read() for m in archive if m.isreg()}  # type: ignore[union-attr]
    (manifest,) = (
        found for data in blobs.values()
        if data[:1] == b"{" and (found := json.loads(data)).get("artifactType") == ENVIRONMENT_TYPE
    )  # fmt: skip
    parts = {}
    for entry in manifest["layers"]:
        title = entry.get("annotations", {}).get("org.opencontainers.image.title", "")
        parts[title] = Part(media_type=entry["mediaType"], content=blobs[entry["digest"][7:]], title=title)
    change(parts)
    artifact = Artifact(kind=ENVIRONMENT_TYPE, parts=tuple(parts.values()), annotations=manifest["annotations"])
    save_images(
        here.store, [(built.image, ("lesson:latest",))], tmp_path / "bad.jcz", attach=lambda image, entry: [artifact]
    )
    with pytest.raises(UntrustedContentError, match=problem):
        there.open(tmp_path / "bad.jcz", to=tmp_path / "x")
    assert nothing_is_left(there, tmp_path / "x")


def test_files_without_an_environment(here: Place, there: Place, project: Path, tmp_path: Path) -> None:
    built = here.build(str(project))
    save_images(here.store, [(built.image, ("lesson:latest",))], tmp_path / "image.tar")
    with pytest.raises(InputError, match="holds no environment"):
        there.open(tmp_path / "image.tar", to=tmp_path / "x")
    with pytest.raises(NotFoundError, match="cannot open"):
        there.open(tmp_path / "missing.jcz")
    (tmp_path / "text.jcz").write_text("hello")
    with pytest.raises(ContainersError):
        there.open(tmp_path / "text.jcz")


def test_notebooks_are_notebooks(here: Place, project: Path, tmp_path: Path) -> None:
    for name in ("a.txt", ".hidden.ipynb", "missing.ipynb"):
        if name != "missing.ipynb":
            (tmp_path / name).write_text("{}")
        with pytest.raises(InputError, match="no notebook"):
            here.bundles.share(str(project), tmp_path / "a.jcz", notebooks=[tmp_path / name])
