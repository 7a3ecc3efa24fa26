"""Damage that is found, taken out, and fetched again from where it came."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_containers.environments import Environments
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.paths import Paths


@pytest.fixture
def environments(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with Environments(Paths(tmp_path / "home", tmp_path / "run").made()) as found:
        yield found


def harm(path: Path) -> None:
    """Other bytes, the same size and time: what a disk does, not what a program does."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with path.open("r+b") as stream:  # the same inode: its other names are harmed as well
        stream.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_a_registry_has_is_pulled_again(environments, registry, tmp_path):
    store = environments.store
    with store.staging() as staging:
        (staging.fs / "file").write_bytes(b"x" * 5000)
        lower = store.commit_layer(staging.fs, created_by="lower")
    with store.staging() as staging:
        (staging.fs / "other").write_bytes(b"y" * 5000)
        upper = store.commit_layer(staging.fs, created_by="upper")
    image = store.put_image(ImageConfig(architecture="amd64"), [lower, upper])
    store.tag("made", image.digest)
    name = f"{registry}/verify/here:1"
    environments.storage.push("made", name)
    with Environments(Paths(tmp_path / "second", tmp_path / "run2").made()) as second:
        pulled = second.shipping.pull(name).image
        assert second.storage.verify() == ()
        harm(pulled.layers[1].path / "other")
        (damage,) = second.storage.verify()
        assert (damage.kind, damage.name, damage.repaired) == ("layer", upper.diff_id, False)
        layer, whole = second.storage.verify(repair=True)
        assert (layer.kind, layer.repaired) == ("layer", True)
        assert (whole.kind, whole.repaired, whole.remedy) == ("image", True, f"pulled again from {registry}")
        assert second.storage.verify() == ()
        assert second.store.references() == {name: pulled.digest}
        assert (second.store.image(name).layers[1].path / "other").read_bytes() == b"y" * 5000


def test_what_has_no_origin_says_how_to_get_it(environments):
    store = environments.store
    with store.staging() as staging:
        (staging.fs / "file").write_bytes(b"x" * 5000)
        layer = store.commit_layer(staging.fs, created_by="x")
    store.tag("made", store.put_image(ImageConfig(architecture="amd64"), [layer]).digest)
    harm(layer.path / "file")
    found = environments.storage.verify(repair=True)
    assert [(each.kind, each.repaired) for each in found] == [("layer", True), ("image", False)]
    assert "again" in found[1].remedy


def test_packages_and_downloads(environments):
    store = environments.store
    package = store.cache_dir("wheels") / "key" / ("a" * 64)
    info = package / "lib/python3.13/site-packages/x-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_bytes(b"Name: x\n")
    (info.parent / "x.py").write_bytes(b"x = 1\n")

    def row(path: Path) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        return f"{path.relative_to(info.parent)},sha256={digest},{path.stat().st_size}"

    rows = [row(info / "METADATA"), row(info.parent / "x.py"), "x-1.dist-info/RECORD,,"]
    (info / "RECORD").write_text("\n".join(rows))
    content = b"a download"
    name = hashlib.sha256(content).hexdigest()
    download = store.cache_dir("archives") / "sha256" / name[:2] / name
    download.parent.mkdir(parents=True)
    download.write_bytes(content)
    with store.staging() as staging:
        os.link(info.parent / "x.py", staging.fs / "x.py")
        layer = store.commit_layer(staging.fs, created_by="python")
    assert environments.storage.verify() == ()
    harm(download)
    harm(info / "METADATA")
    assert {each.kind for each in environments.storage.verify(repair=True)} == {"download", "package"}
    assert not download.exists()
    assert not package.exists()
    assert environments.storage.verify() == ()
    assert layer.path.is_dir()


def test_a_layer_takes_the_packages_that_share_its_damage_along(environments):
    store = environments.store
    package = store.cache_dir("wheels") / "key" / ("a" * 64)
    package.mkdir(parents=True)
    (package / "byte-code.pyc").write_bytes(b"no RECORD has a hash of it")
    other = package.with_name("b" * 64)
    other.mkdir()
    (other / "file").write_bytes(b"another")
    with store.staging() as staging:
        os.link(package / "byte-code.pyc", staging.fs / "byte-code.pyc")
        layer = store.commit_layer(staging.fs, created_by="python")
    harm(package / "byte-code.pyc")
    (damage,) = environments.storage.verify(repair=True)
    assert damage.name == layer.diff_id
    assert "1 prepared packages" in damage.remedy
    assert not package.exists()
    assert other.exists()


def test_commands(environments, tmp_path):
    store = environments.store
    env = {**os.environ, "JUPYTER_CONTAINERS_HOME": str(environments.paths.home)}

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "jupyter_containers", *argv]
        return subprocess.run(program, env=env, capture_output=True, text=True, check=False)

    for number in range(2):
        with store.staging() as staging:
            (staging.fs / "file").write_bytes(b"%d" % number * 5000)
            layer = store.commit_layer(staging.fs, created_by="step")
        store.tag(f"image{number}", store.put_image(ImageConfig(architecture="amd64"), [layer]).digest)
    assert run("verify").stdout == "everything is what it should be\n"
    different = run("diff-image", "image0", "image1")
    assert different.returncode == 1
    assert "C /file  content" in different.stdout
    assert run("diff-image", "image0", "image0").returncode == 0
    assert json.loads(run("diff-image", "--json", "image0", "image1").stdout)["files"][0]["path"] == "/file"
    assert run("pin", "image1").stdout == "image1:latest\n"
    assert json.loads(run("df", "--json").stdout)["images"][0]["layers"] == 1
    assert "image1:latest" in run("df", "-v").stdout
    assert json.loads(run("inspect", "image1").stdout)[0]["image"]["pinned"] is True
    dry = run("prune", "--dry-run", "--all")
    assert "image0:latest" in dry.stdout
    assert "image1" not in dry.stdout
    assert len(store.images()) == 2
    assert run("prune", "--all", "--until", "1d").returncode == 0
    assert len(store.images()) == 2
    over = run("prune", "--keep-bytes", "1")
    assert "the rest is pinned" in over.stderr
    assert [image.references for image in store.images()] == [("image1:latest",)]
    assert run("unpin", "image0").returncode == 1
    assert run("unpin", "image1").returncode == 0
    for wrong in (["--until", "soon"], ["--keep-bytes", "much"], ["--all", "--keep-bytes", "1G"]):
        failed = run("prune", *wrong)
        assert failed.returncode == 2, failed
        assert "Traceback" not in failed.stderr
    harm(store.image("image1").layers[0].path / "file")
    assert run("verify").returncode == 1
