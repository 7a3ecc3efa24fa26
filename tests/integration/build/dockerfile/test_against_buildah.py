"""What docker's classic builder does not know, built by buildah: the same tree, and the same refusals."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import dockerfile_case as cases
import pytest

from jupyter_containers.build.dockerfile.builder import build_dockerfile
from jupyter_containers.environments import Environments
from jupyter_containers.image.model import Image
from jupyter_containers.image.saving import save_images
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths

NAMES = [name for name in cases.case_names() if not cases.read_case(name).docker and cases.read_case(name).buildah]
Buildah = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def buildah(base: Image, home: Paths, tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    if shutil.which("buildah") is None:
        pytest.skip("needs buildah (apt-get install buildah)")
    if os.geteuid() != 0:
        pytest.skip("buildah of an ordinary user wants newuidmap")
    folder = tmp_path_factory.mktemp("buildah")
    stores = [f"--root={folder}/store", f"--runroot={folder}/run", "--storage-driver=vfs"]

    def call(*words: str, cwd: Path = folder) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["buildah", *stores, *words], cwd=cwd, capture_output=True, text=True, check=False)

    save_images(Store(home.store), [(base, ("localhost/cases-base:latest",))], folder / "base.tar")
    pulled = call("pull", f"oci-archive:{folder}/base.tar")
    assert pulled.returncode == 0, pulled.stderr
    return call


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_same_tree(name: str, buildah: Buildah, home: Paths, tmp_path: Path) -> None:
    case, folder = cases.read_case(name), cases.CASES / name
    arguments = [f"--build-arg={key}={value}" for key, value in case.args.items()]
    target = [f"--target={case.target}"] if case.target else []
    built = buildah(
        "bud", "--isolation=chroot", "--layers=false", f"--tag=it-{name}", *arguments, *target, ".", cwd=folder
    )
    if case.error:
        assert built.returncode != 0
        return
    assert built.returncode == 0, built.stdout + built.stderr
    pushed = buildah("push", f"it-{name}", f"oci-archive:{tmp_path}/it.tar")
    assert pushed.returncode == 0, pushed.stderr
    store = Store(home.store)
    (theirs,) = Environments(home).shipping.load(tmp_path / "it.tar")
    ours = build_dockerfile(case.request(folder), paths=home)
    assert cases.tree_of(ours, store) == cases.tree_of(store.image(theirs.digest), store)
