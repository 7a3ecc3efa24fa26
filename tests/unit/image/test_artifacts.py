"""Artefacts of images: in files, in the store, in registries of both kinds."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import InputError, NotFoundError, UntrustedContentError
from jupyter_containers.image.artifacts import EMPTY, Artifact, Part, describe, make_artifact
from jupyter_containers.image.attached import attach, list_attached
from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.enclosed import load_all, open_images
from jupyter_containers.image.gc import collect
from jupyter_containers.image.layout import host_architecture, load
from jupyter_containers.image.model import Descriptor, Image, ImageConfig, Layer
from jupyter_containers.image.progress import Counter, quiet
from jupyter_containers.image.referrers import attach_all, list_referrers, read_referrer
from jupyter_containers.image.repository import Document
from jupyter_containers.image.saving import save_images
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree

SMALL = Bounds(reserve=0)
BILL = Artifact(
    kind="application/vnd.example.bill",
    parts=(Part(media_type="application/json", content=b'{"a":1}', title="bill.json"),),
    annotations={"org.example.by": "test"},
)
Commit = Callable[..., Layer]


@pytest.fixture
def image(store: Store, commit: Commit) -> Image:
    made = store.put_image(ImageConfig(architecture=host_architecture()), [commit({"etc/motd": b"hello"})])
    store.tag("thing", made.digest)
    return store.image("thing")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Store]:
    yield Store(tmp_path / "elsewhere")
    remove_tree(tmp_path / "elsewhere")


def both(image: Image, manifest: Descriptor) -> tuple[Artifact, ...]:
    """One that is the same for all, one that tells the manifest."""
    part = Part(media_type="text/plain", content=manifest.digest.encode())
    return BILL, Artifact(kind="application/vnd.example.subject", parts=(part,))


def test_artefacts_go_along_in_a_file_and_are_kept(
    store: Store, image: Image, elsewhere: Store, tmp_path: Path
) -> None:
    (manifest,) = save_images(store, [(image, ("thing:latest",))], tmp_path / "a.tar", attach=both)
    ((loaded, names),) = load_all(elsewhere, tmp_path / "a.tar", bounds=SMALL)
    assert loaded.digest == image.digest
    assert names == ("thing:latest",)
    bill, subject = list_attached(elsewhere, image.digest)
    assert bill == BILL
    assert subject.parts[0].content == manifest.digest.encode()
    # The manifest is the one of a plain save, and the file the same each time.
    (plain,) = save_images(store, [(image, ("thing:latest",))], tmp_path / "plain.tar")
    assert plain.digest == manifest.digest
    save_images(store, [(image, ("thing:latest",))], tmp_path / "b.tar", attach=both)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    # One who looks for an image finds it, and no other.
    assert load(elsewhere, tmp_path / "a.tar", bounds=SMALL).digest == image.digest


def test_a_part_may_be_a_file(store: Store, image: Image, elsewhere: Store, tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 3_000_000)
    artifact = Artifact(kind="a/b", parts=(Part(media_type="a/c", content=tmp_path / "long"),))
    save_images(store, [(image, ())], tmp_path / "a.tar", attach=lambda image, manifest: [artifact])
    load_all(elsewhere, tmp_path / "a.tar", bounds=SMALL)
    (found,) = list_attached(elsewhere, image.digest)
    assert found.parts[0].content == b"x" * 3_000_000


def test_the_last_of_a_kind_counts_and_goes_with_its_image(store: Store, image: Image) -> None:
    attach(store, image.digest, BILL)
    newer = Artifact(kind=BILL.kind, parts=(Part(media_type="a/b", content=b"newer"),), annotations=BILL.annotations)
    attach(store, image.digest, newer)
    assert list_attached(store, image.digest) == (newer,)
    collect(store)
    assert list_attached(store, image.digest) == (newer,)
    assert not store.blob_path(sha256_of(b'{"a":1}')).exists()  # nothing keeps the older one's
    store.untag("thing")
    collect(store)
    assert list_attached(store, image.digest) == ()
    assert list((store.root / "attached").iterdir()) == []
    assert not store.blob_path(sha256_of(b"newer")).exists()


def test_docker_archives_hold_none(store: Store, image: Image, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="docker's archives"):
        save_images(store, [(image, ())], tmp_path / "a.tar", form="docker-archive", attach=both)


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """The tar at *path* after *change* of its files."""
    with tarfile.open(path) as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}  # type: ignore[union-attr]
    change(files)
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def put(files: dict[str, bytes], data: bytes) -> dict[str, Any]:
    files[f"blobs/sha256/{sha256_of(data)[7:]}"] = data
    return {"digest": sha256_of(data), "size": len(data)}


def add_to_index(files: dict[str, bytes], document: dict[str, Any], media_type: str = "manifest") -> None:
    index = json.loads(files["index.json"])
    kind = f"application/vnd.oci.image.{media_type}.v1+json"
    index["manifests"].append({"mediaType": kind, **put(files, json.dumps(document).encode())})
    files["index.json"] = json.dumps(index).encode()


def named(manifest: Descriptor, **more: Any) -> dict[str, Any]:
    subject = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.size}
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256_of(EMPTY), "size": 2}
    return {"schemaVersion": 2, "mediaType": manifest.media_type, "config": config, "layers": [], "subject": subject,
            "artifactType": "a/b", **more}  # fmt: skip


def parts(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"layers": [{"mediaType": "a/b", **part} for part in parts]}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (parts({"digest": f"sha256:{'0' * 64}", "size": 5}), "no file 'blobs/sha256/000"),
        (parts({"digest": "sha256:../../../../etc/passwd", "size": 5}), "not a digest"),
        (parts({"digest": sha256_of(b"x"), "size": -1}), "not a digest"),
        (parts(*[{"digest": sha256_of(b"x"), "size": 1}] * 65), "65 parts"),
        ({"layers": "none"}, "Expected `array`"),
    ],
)
def test_hostile_artefacts_are_told(
    store: Store, image: Image, elsewhere: Store, tmp_path: Path, more: dict[str, Any], problem: str
) -> None:
    (manifest,) = save_images(store, [(image, ("thing:latest",))], tmp_path / "a.tar")
    rewrite(tmp_path / "a.tar", lambda files: add_to_index(files, named(manifest, **more)))
    with pytest.raises(UntrustedContentError, match=problem):
        load_all(elsewhere, tmp_path / "a.tar", bounds=SMALL)
    assert list_attached(elsewhere, image.digest) == ()


def test_what_is_too_large_or_of_another_image_is_passed_over(
    store: Store, image: Image, elsewhere: Store, tmp_path: Path
) -> None:
    (manifest,) = save_images(store, [(image, ("thing:latest",))], tmp_path / "a.tar")
    others = Descriptor(media_type=manifest.media_type, digest=sha256_of(b"other"), size=5)

    def change(files: dict[str, bytes]) -> None:
        add_to_index(files, named(manifest, **parts({"digest": sha256_of(b"y"), "size": 17 << 20})))
        add_to_index(files, named(others))

    rewrite(tmp_path / "a.tar", change)
    load_all(elsewhere, tmp_path / "a.tar", bounds=SMALL)
    assert list_attached(elsewhere, image.digest) == ()


def test_indexes_without_end_are_told(store: Store, image: Image, elsewhere: Store, tmp_path: Path) -> None:
    (manifest,) = save_images(store, [(image, ("thing:latest",))], tmp_path / "a.tar")

    def change(files: dict[str, bytes]) -> None:
        for number in range(250):
            add_to_index(files, named(manifest, annotations={"n": str(number)}))

    rewrite(tmp_path / "a.tar", change)
    with pytest.raises(UntrustedContentError, match="more than 200 manifests"):
        load_all(elsewhere, tmp_path / "a.tar", bounds=SMALL)


def test_parts_are_read_in_bounds(store: Store, image: Image, elsewhere: Store, tmp_path: Path) -> None:
    save_images(store, [(image, ("thing:latest",))], tmp_path / "a.tar", attach=both)
    with open_images(elsewhere, tmp_path / "a.tar", bounds=SMALL) as images:
        (one,) = images
        (part,) = next(found for found in one.artifacts if found.artifact_type == BILL.kind).layers
        assert one.read(part, 100) == b'{"a":1}'
        with pytest.raises(UntrustedContentError, match="7 bytes, 3 are read"):
            one.read(part, 3)
        with one.open(part) as stream:
            assert stream.read(100) == b'{"a":1}'
            stream.finish()


class Shelf:
    """What :mod:`.referrers` needs of a repository, in memory; with *listing* it keeps the list itself."""

    def __init__(self, *, listing: bool) -> None:
        self.listing = listing
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, Document] = {}

    def has_blob(self, digest: str) -> bool:
        return digest in self.blobs

    def upload(self, entry: Descriptor, read: Callable[[int], Iterator[bytes]], counter: Counter) -> None:
        self.blobs[entry.digest] = b"".join(read(0))
        assert describe(Part(media_type="", content=self.blobs[entry.digest])).digest == entry.digest

    def put_manifest(self, document: Document, reference: str) -> bool:
        self.manifests[reference] = document
        return self.listing and "subject" in json.loads(document.data)

    def manifest(self, reference: str) -> Document:
        if reference not in self.manifests:
            raise NotFoundError(reference)
        return self.manifests[reference]

    def referrers(self, digest: str) -> bytes:
        if not self.listing:
            raise NotFoundError("no such page")
        found = [
            {"mediaType": document.descriptor.media_type, "digest": document.descriptor.digest,
             "size": document.descriptor.size, "artifactType": document.descriptor.artifact_type}
            for document in self.manifests.values()
            if json.loads(document.data).get("subject", {}).get("digest") == digest
        ]  # fmt: skip
        return json.dumps({"schemaVersion": 2, "manifests": found}).encode()

    def read_document(self, entry: Descriptor, *, limit: int = 4 << 20) -> bytes:
        assert entry.size <= limit
        return self.manifests[entry.digest].data if entry.digest in self.manifests else self.blobs[entry.digest]


@pytest.mark.parametrize("listing", [True, False])
def test_registries_with_a_list_and_without(listing: bool) -> None:
    shelf: Any = Shelf(listing=listing)
    subject = Descriptor(media_type="application/vnd.oci.image.manifest.v1+json", digest=sha256_of(b"m"), size=1)
    other = Artifact(kind="a/b", parts=(Part(media_type="a/c", content=b"2"),))
    counter = Counter("", 0, quiet)
    (first,) = attach_all(shelf, subject, [BILL], counter)
    (second,) = attach_all(shelf, subject, [other], counter)
    assert attach_all(shelf, subject, [BILL], counter) == (first,)
    tag = f"sha256-{subject.digest[7:]}"
    assert (tag in shelf.manifests) is not listing
    entries = list_referrers(shelf, subject.digest)
    assert {entry.digest: entry.artifact_type for entry in entries} == {first: BILL.kind, second: "a/b"}
    found = [read_referrer(shelf, entry, subject.digest, limit=1000) for entry in entries]
    assert found == [BILL, other]
    assert read_referrer(shelf, entries[0], subject.digest, limit=3) is None
    assert read_referrer(shelf, entries[0], sha256_of(b"another"), limit=1000) is None
    assert list_referrers(shelf, sha256_of(b"another")) == ()


def test_an_artefact_is_the_same_each_time() -> None:
    subject = Descriptor(media_type="a/b", digest=sha256_of(b"m"), size=1, annotations={"name": "left out"})
    entry, data = make_artifact(BILL, subject, [describe(part) for part in BILL.parts])
    assert entry.digest == sha256_of(data)
    document = json.loads(data)
    assert document["artifactType"] == BILL.kind
    assert document["subject"] == {"mediaType": "a/b", "digest": sha256_of(b"m"), "size": 1}
    assert document["config"] == {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": sha256_of(EMPTY),
        "size": 2,
    }
    assert document["layers"][0]["annotations"] == {"org.opencontainers.image.title": "bill.json"}
