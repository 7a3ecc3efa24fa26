"""A real environment to another machine without a network, and its documents to a registry and back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.build.ensure import Built, ensure_built
from jupyter_containers.environments import Environments
from jupyter_containers.errors import NotFoundError
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.paths import Paths

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environments]:
    """Another user's, without a network."""
    monkeypatch.setenv("JUPYTER_CONTAINERS_OFFLINE", "1")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    paths = Paths(tmp_path / "home", tmp_path / "run").made()
    with Environments(paths) as made:
        yield made
    remove_tree(paths.store)


def test_there(
    shared_home: Paths, small_environment: Built, elsewhere: Environments, tmp_path: Path, skopeo: Callable[..., str]
) -> None:
    here = Environments(shared_home)
    shared = here.bundles.share("small", tmp_path / "small.jcz")
    assert shared.image == small_environment.image.digest
    # Any engine reads the image in it, without being told which.
    assert json.loads(skopeo("inspect", "--config", f"oci-archive:{tmp_path}/small.jcz"))["os"] == "linux"

    opened = elsewhere.bundles.open(tmp_path / "small.jcz", trust=lambda name, wanted: False, to=tmp_path / "there")
    assert opened.image == small_environment.image.digest
    assert opened.notes == ()
    (view,) = elsewhere.list()
    assert (view.name, view.state, view.spec_file) == ("small", "ready", str(tmp_path / "there"))
    assert (tmp_path / "data/kernels/jc-small/kernel.json").exists()
    container = elsewhere.run("small", ["python", "-c", "import six, ipykernel; print(six.__version__)"])
    assert container.wait() == 0
    container.remove(force=True)

    # Nothing is to be done for it, with no network; the same file comes out again.
    assert ensure_built(tmp_path / "there", paths=elsewhere.paths, locked=True).build_id == ""
    elsewhere.bundles.share("small", tmp_path / "again.jcz")
    assert (tmp_path / "again.jcz").read_bytes() == (tmp_path / "small.jcz").read_bytes()


def test_documents_go_along_to_a_registry(
    shared_home: Paths, small_environment: Built, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Environments(shared_home)
    name = f"{registry}/bundles/small:1"
    pushed = here.storage.push("small", name, attach=here.attestations.artifacts)
    assert len(pushed.attached) == 3
    assert here.storage.push("small", name, attach=here.attestations.artifacts).attached == pushed.attached

    copied = here.shipping.copy(name, f"{registry}/bundles/copied:1")
    assert (copied.digest, copied.attached) == (pushed.digest, 3)
    name = copied.target

    with Environments(Paths(tmp_path / "home", tmp_path / "run").made()) as there:
        plain = there.shipping.pull(name)
        assert plain.attached == ()
        with pytest.raises(NotFoundError, match="nothing is known of how"):
            there.attestations.bill(name)
        pulled = there.shipping.pull(name, attached=True)
        assert sorted(pulled.attached) == [
            "application/vnd.cyclonedx+json", "application/vnd.in-toto+json",
            "application/vnd.jupyter-containers.environment.v1",
        ]  # fmt: skip
        assert there.attestations.bill(name) == here.attestations.bill("small")
        assert there.attestations.provenance(name) == here.attestations.provenance("small")
        remove_tree(there.paths.store)


def test_the_bill_is_of_what_is_in_the_image(shared_home: Paths, small_environment: Built) -> None:
    here = Environments(shared_home)
    bill = json.loads(here.attestations.bill("small"))
    spdx = json.loads(here.attestations.bill("small", "spdx"))
    packages = {(item["name"], item["version"]) for item in bill["components"]}
    assert {(item["name"], item["versionInfo"]) for item in spdx["packages"][1:]} == packages
    look = (
        r"dpkg-query -W -f '${Package} ${Version}\n'; "
        "python -m pip list --format freeze 2> /dev/null | sed 's/==/ /'"
    )
    container = here.run("small", ["sh", "-c", look])
    assert container.wait() == 0
    rows = [line.split() for line in container.logs().splitlines()]
    container.remove(force=True)
    assert {(name.lower().replace("_", "-"), version) for name, version in rows} == packages


def test_docker_takes_the_image_in(
    shared_home: Paths, small_environment: Built, docker_engine: None, tmp_path: Path
) -> None:
    Environments(shared_home).bundles.share("small", tmp_path / "small.jcz", compression="gzip")
    done = subprocess.run(["docker", "load", "-i", tmp_path / "small.jcz"], capture_output=True, text=True, check=False)
    assert "Loaded image: small:latest" in done.stdout, done.stderr
    subprocess.run(["docker", "rmi", "-f", "small:latest"], capture_output=True, check=False)
