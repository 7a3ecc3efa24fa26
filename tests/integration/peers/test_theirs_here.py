"""Images made by other people's programs, taken in and run here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.environments import Environments
from jupyter_containers.image.model import Image

Program = Callable[..., str]
CONTAINERFILE = """\
FROM scratch
COPY busybox /bin/busybox
COPY sh /bin/sh
RUN ["/bin/busybox", "mkdir", "-p", "/data/old", "/proc"]
RUN /bin/busybox touch /data/old/file /data/gone && /bin/busybox chmod 640 /data/old/file
RUN /bin/busybox rm -r /data/old /data/gone && /bin/busybox mkdir /data/old && echo upper > /data/old/other
ENV GREETING="hello there"
WORKDIR /data
CMD ["/bin/busybox", "cat", "/data/old/other"]
"""
SCRIPT = """\
echo "$GREETING $PWD"
busybox cat old/other
busybox ls -A / /data /data/old | busybox grep -E "gone|^file" || echo clean
"""
EXPECTED = "hello there /data\nupper\nclean\n"


@pytest.fixture
def context(tmp_path: Path, busybox: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    for name in ("busybox", "sh"):  # busybox is what it is called as
        shutil.copy(busybox, folder / name)
        (folder / name).chmod(0o755)
    (folder / "Containerfile").write_text(CONTAINERFILE)
    return folder


@pytest.fixture
def check(environments: Environments) -> Callable[[Path], None]:
    """Take the image in, run its command, and look around in it."""

    def run(image: str, *argv: str) -> str:
        container = environments.create(image, argv, network="none", die_with_parent=True)
        try:
            container.start()
            assert container.wait(60) == 0, container.logs()
            return container.logs()
        finally:
            container.remove(force=True)

    def checked(path: Path) -> None:
        (loaded,) = environments.shipping.load(path)
        command = environments.store.image(loaded.digest).config.execution.cmd
        assert command == ("/bin/busybox", "cat", "/data/old/other")
        assert run(loaded.digest, *command) == "upper\n"
        assert run(loaded.digest, "/bin/busybox", "sh", "-c", SCRIPT) == EXPECTED
        environments.storage.remove(loaded.digest)

    return checked


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["--layers", "--squash"])
def test_buildah(context: Path, buildah: Program, check: Callable[[Path], None], tmp_path: Path, layers: str) -> None:
    buildah("bud", "--isolation=chroot", layers, "--tag=theirs:1", f"--file={context}/Containerfile", str(context))
    for form in ("oci-archive", "docker-archive"):
        buildah("push", "theirs:1", f"{form}:{tmp_path}/{form}.tar:theirs:1")
        check(tmp_path / f"{form}.tar")


@pytest.mark.slow
def test_podman(context: Path, podman: Program, check: Callable[[Path], None], tmp_path: Path) -> None:
    podman("build", "--isolation=chroot", "--tag=theirs:1", f"--file={context}/Containerfile", str(context))
    for form in ("oci-archive", "docker-archive"):
        podman("save", f"--format={form}", f"--output={tmp_path}/{form}.tar", "theirs:1")
        check(tmp_path / f"{form}.tar")


@pytest.mark.slow
def test_docker(context: Path, docker: Program, check: Callable[[Path], None], tmp_path: Path) -> None:
    docker("build", "--tag=theirs:1", f"--file={context}/Containerfile", "--network=none", str(context))
    try:
        docker("save", f"--output={tmp_path}/docker.tar", "theirs:1")
        check(tmp_path / "docker.tar")
    finally:
        docker("rmi", "-f", "theirs:1")


@pytest.mark.slow
def test_umoci(busybox: Path, umoci: Program, check: Callable[[Path], None], tmp_path: Path) -> None:
    layout, image = tmp_path / "layout", f"{tmp_path}/layout:theirs:1"
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    for name in ("busybox", "sh"):
        shutil.copy(busybox, root / "bin" / name)
        (root / "bin" / name).chmod(0o755)
    for name in ("old/file", "gone"):
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).touch()
    umoci("init", f"--layout={layout}")
    umoci("new", f"--image={image}")
    umoci("insert", f"--image={image}", str(root), "/")
    umoci("insert", f"--image={image}", "--whiteout", "/data/gone")
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper/other").write_text("upper\n")
    umoci("insert", f"--image={image}", "--opaque", str(tmp_path / "upper"), "/data/old")
    umoci(
        "config", f"--image={image}", "--config.env=GREETING=hello there", "--config.workingdir=/data",
        "--config.cmd=/bin/busybox", "--config.cmd=cat", "--config.cmd=/data/old/other",
    )  # fmt: skip
    check(layout)


@pytest.mark.slow
def test_skopeo_with_zstd(
    environments: Environments, archive: Path, image: Image, skopeo: Program, tmp_path: Path
) -> None:
    """Recompressed by others the layers have other digests, and the image's own stays."""
    skopeo("copy", "--dest-compress-format=zstd", f"oci-archive:{archive}", f"oci:{tmp_path}/layout:theirs:1")
    (loaded,) = environments.shipping.load(tmp_path / "layout")
    assert loaded.digest == image.digest
