"""Our images in other people's programs: read, validated, unpacked and run by each."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.environments import Environments
from jupyter_containers.image.model import Image

Program = Callable[..., str]
LISTING = "cd /; find data twin | sort; cat data/old/other data/link"
EXPECTED = ["data", "data/kept", "data/link", "data/old", "data/old/other", "twin", "upper", "one"]


@pytest.fixture
def layout(archive: Path, tmp_path: Path) -> Path:
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "layout", filter="data")
    return tmp_path / "layout"


def test_skopeo_validates(archive: Path, skopeo: Program, image: Image, tmp_path: Path) -> None:
    seen = json.loads(skopeo("inspect", f"oci-archive:{archive}"))
    assert seen["Env"][-1] == "GREETING=hello there"
    assert len(seen["Layers"]) == len(image.layers)
    # A docker archive holds plain tars, so skopeo unpacks each layer and compares it with its diff_id.
    skopeo("copy", f"oci-archive:{archive}", f"docker-archive:{tmp_path}/d.tar:peers:1")


@pytest.mark.slow
def test_umoci_unpacks_and_crun_runs(layout: Path, umoci: Program, crun: Callable[[Path], str], tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    umoci("unpack", f"--image={layout}:peers:1", str(bundle))
    assert (bundle / "rootfs/data/old/other").read_text() == "upper\n"
    assert not (bundle / "rootfs/data/old/file").exists()
    assert (bundle / "rootfs/twin").stat().st_ino == (bundle / "rootfs/data/kept").stat().st_ino
    file = bundle / "config.json"
    config = json.loads(file.read_text())
    assert config["process"]["args"] == ["cat", "/data/old/other"]
    assert config["process"]["cwd"] == "/data"
    config["process"].update(terminal=False, args=["sh", "-c", LISTING])
    config["process"].pop("rlimits", None)
    file.write_text(json.dumps(config))
    assert crun(bundle).split() == EXPECTED


@pytest.mark.slow
def test_buildah_runs(archive: Path, buildah: Program) -> None:
    name = buildah("from", "--pull-never", f"oci-archive:{archive}").split()[-1]
    assert buildah("run", "--isolation=chroot", name, "--", "sh", "-c", LISTING).split() == EXPECTED
    assert (
        buildah("run", "--isolation=chroot", name, "--", "sh", "-c", 'echo "$GREETING $PWD"') == "hello there /data\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_podman_loads_and_runs(
    environments: Environments, image: Image, podman: Program, form: str, tmp_path: Path
) -> None:
    path = tmp_path / "saved.tar"
    environments.storage.save(["peers:1"], path, form=form)
    podman("load", f"--input={path}")
    name = next(line for line in podman("images", "--format={{.Repository}}:{{.Tag}}").split() if "peers" in line)
    assert podman("run", "--rm", name, "sh", "-c", LISTING).split() == EXPECTED
    assert podman("run", "--rm", name) == "upper\n"
    podman("rmi", name)


@pytest.mark.slow
def test_docker_loads_and_runs(environments: Environments, image: Image, docker: Program, tmp_path: Path) -> None:
    path = tmp_path / "saved.tar"
    environments.storage.save(["peers:1"], path, form="docker-archive")
    docker("load", "--input", str(path))
    try:
        assert docker("run", "--rm", "--network=none", "peers:1", "sh", "-c", LISTING).split() == EXPECTED
        assert docker("run", "--rm", "--network=none", "peers:1") == "upper"
    finally:
        docker("rmi", "-f", "peers:1")
