"""Names at the front door: what a file or a user may call an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.environments import Environments
from jupyter_containers.errors import ConflictError, InputError, NotFoundError, ReferenceError
from jupyter_containers.image.model import Image, ImageConfig
from jupyter_containers.image.saving import save_images
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.fake import FakeRuntime
from jupyter_containers.spec.catalog import Record, record


@pytest.fixture
def environments(tmp_path: Path) -> Iterator[Environments]:
    paths = Paths(tmp_path / "home", tmp_path / "run").made()
    with Environments(paths, runtime=FakeRuntime()) as made:
        yield made
    remove_tree(tmp_path / "home")


@pytest.fixture
def image(environments: Environments) -> Image:
    return make_image(environments, b"mine")


def make_image(environments: Environments, content: bytes) -> Image:
    store = environments.store
    with store.staging() as staging:
        (staging.fs / "file").write_bytes(content)
        layer = store.commit_layer(staging.fs, created_by="test")
    return store.put_image(ImageConfig(architecture="amd64"), [layer])


@pytest.fixture
def thesis(environments: Environments, image: Image) -> Image:
    """The image of an environment."""
    environments.store.tag("thesis", image.digest)
    record(environments.paths, Record(name="thesis", display_name="", spec_file="/nowhere", image=image.digest))
    return image


def test_a_file_does_not_take_an_environments_name(environments: Environments, thesis: Image, tmp_path: Path) -> None:
    evil = make_image(environments, b"evil")
    save_images(environments.store, [(evil, ("thesis:latest", "other:1", "latest", "thesis:2"))], tmp_path / "x.tar")
    (loaded,) = environments.shipping.load(tmp_path / "x.tar")
    assert loaded.digest == evil.digest
    assert loaded.references == ("other:1", "thesis:2")
    assert loaded.left_out == ("thesis:latest", "latest")
    assert environments.store.image("thesis").digest == thesis.digest


def test_nor_does_a_tag(environments: Environments, thesis: Image) -> None:
    evil = make_image(environments, b"evil")
    for name in ("thesis", "thesis:latest"):
        with pytest.raises(ConflictError, match="environment"):
            environments.shipping.tag(evil, name)
    with pytest.raises(ReferenceError, match="digest can't be given"):
        environments.shipping.tag(evil, f"x@{evil.digest}")
    assert environments.shipping.tag(evil, "thesis:other") == "thesis:other"


def test_an_environments_image_is_not_removed_by_its_digest_or_last_name(
    environments: Environments, thesis: Image
) -> None:
    for name in (thesis.digest, thesis.digest[:19], "thesis"):
        with pytest.raises(ConflictError, match="environment"):
            environments.storage.remove(name)
    environments.shipping.tag(thesis, "more:1")
    with pytest.raises(ConflictError, match="environment"):
        environments.storage.remove("thesis")
    environments.storage.remove("more:1")
    assert environments.store.image("thesis").references == ("thesis:latest",)


def test_removing(environments: Environments, image: Image) -> None:
    for name in ("docker.io/library/debian:latest", "mine:1"):
        environments.store.tag(name, image.digest)
    assert environments.resolve("debian").image == image.digest
    environments.storage.remove("debian")
    assert environments.store.image(image.digest).references == ("mine:1",)
    environments.storage.remove("mine:1")
    with pytest.raises(NotFoundError):
        environments.storage.remove(image.digest)


def test_saving_by_name_and_by_digest(environments: Environments, thesis: Image, tmp_path: Path) -> None:
    environments.shipping.tag(thesis, "r.example/thesis:1")
    for asked, names in (
        (["thesis"], ("thesis:latest",)),
        (["r.example/thesis:1"], ("r.example/thesis:1",)),
        (["thesis", "r.example/thesis:1"], ("thesis:latest", "r.example/thesis:1")),
        ([thesis.digest], ("r.example/thesis:1", "thesis:latest")),
    ):
        environments.storage.save(asked, tmp_path / "x.tar")
        (loaded,) = environments.shipping.load(tmp_path / "x.tar")
        assert {*loaded.references, *loaded.left_out} == set(names)


def test_loading_under_a_name_of_ones_own(environments: Environments, image: Image, tmp_path: Path) -> None:
    other = make_image(environments, b"other")
    images = [(image, ("a:1",)), (other, ("b:1",))]
    save_images(environments.store, images, tmp_path / "x.tar")
    with pytest.raises(InputError, match="holds 2 images"):
        environments.shipping.load(tmp_path / "x.tar", tag="c:1")
    (loaded,) = environments.shipping.load(tmp_path / "x.tar", name="b:1", tag="c:1")
    assert (loaded.digest, loaded.references) == (other.digest, ("c:1",))
    assert sorted(environments.store.references()) == ["c:1"]
