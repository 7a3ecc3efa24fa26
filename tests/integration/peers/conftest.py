"""Our image for other people's programs, and how each of them is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.build.dockerfile.builder import Request, build_dockerfile
from jupyter_containers.environments import Environments
from jupyter_containers.image.model import Image
from jupyter_containers.paths import Paths

Program = Callable[..., str]

DOCKERFILE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -m 1777 /tmp && mkdir -p /data/old && echo lower > /data/old/file
RUN echo one > /data/kept && ln /data/kept /twin
RUN rm -r /data/old && mkdir /data/old && echo upper > /data/old/other && ln -s ../data/kept /data/link
ENV GREETING="hello there"
WORKDIR /data
CMD ["cat", "/data/old/other"]
"""
"""Whiteouts, a folder made anew (opaque), a hard link, a relative link."""


@pytest.fixture(scope="session")
def busybox() -> Path:
    path = Path("/bin/busybox")
    # ldd(1) fails for what needs no loader.
    if not path.exists() or subprocess.run(["ldd", path], capture_output=True, check=False).returncode == 0:
        pytest.skip("needs a static /bin/busybox (apt-get install busybox-static)")
    return path


@pytest.fixture(scope="session")
def environments() -> Iterator[Environments]:
    """With a store of its own; short paths, since sockets lie below it."""
    with (
        tempfile.TemporaryDirectory(prefix="jc-", dir="/tmp") as folder,
        Environments(Paths(Path(folder, "home"), Path(folder, "run")).made()) as environments,
    ):
        yield environments


@pytest.fixture(scope="session")
def image(environments: Environments, busybox: Path, tmp_path_factory: pytest.TempPathFactory) -> Image:
    context = tmp_path_factory.mktemp("image")
    shutil.copy(busybox, context / "busybox")
    (context / "Dockerfile").write_text(DOCKERFILE)
    return build_dockerfile(Request(context=context, tags=("peers:1",)), paths=environments.paths)


@pytest.fixture(scope="session")
def archive(environments: Environments, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image as an oci-archive, as ``peers:1``."""
    path = tmp_path_factory.mktemp("archive") / "peers.tar"
    environments.storage.save(["peers:1"], path)
    return path


def run(*argv: str | Path, **options: object) -> str:
    """Standard output of a program that must succeed."""
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
    return str(done.stdout)


def program(name: str, *, package: str = "") -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (apt-get install {package or name})")
    return found


def as_root(name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip(f"{name} of an ordinary user wants newuidmap, or control groups of one's own")


def on_plain_cgroups(*argv: str) -> list[str]:
    """crun starts on cgroup v1 or v2, not on both at once: on a hybrid host the second is hidden from it."""
    if not Path("/sys/fs/cgroup/unified").is_dir():
        return list(argv)
    return ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/unified; exec "$@"', "sh", *argv]


@pytest.fixture(scope="session")
def skopeo() -> Program:
    name = program("skopeo")
    return lambda *argv: run(name, "--insecure-policy", *argv)


@pytest.fixture(scope="session")
def umoci() -> Program:
    name = program("umoci")
    rootless = [] if os.geteuid() == 0 else ["--rootless"]

    def call(command: str, *argv: str) -> str:
        return run(name, command, *(rootless if command in {"unpack", "repack", "insert"} else []), *argv)

    return call


@pytest.fixture(scope="session")
def crun() -> Callable[[Path], str]:
    """Runs a runtime bundle's folder."""
    name = program("crun")
    as_root(name)
    return lambda bundle: run(
        *on_plain_cgroups(name, "--cgroup-manager=disabled", "run", f"--bundle={bundle}", "peers")
    )


@pytest.fixture(scope="session")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Program:
    name = program("buildah")
    as_root(name)
    folder = tmp_path_factory.mktemp("buildah")
    stores = [f"--root={folder}/store", f"--runroot={folder}/run", "--storage-driver=vfs"]
    return lambda *argv: run(name, *stores, *argv)


@pytest.fixture(scope="session")
def podman(request: pytest.FixtureRequest) -> Program:
    name = program("podman")
    as_root(name)
    folder = tempfile.mkdtemp(prefix="jc-", dir="/tmp")  # it refuses a runroot of more than 50 characters
    request.addfinalizer(lambda: shutil.rmtree(folder, ignore_errors=True))
    # Its limits are above what a host may allow even to root; no network: no firewall to change.
    limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"]
    stores = [f"--root={folder}/store", f"--runroot={folder}/run", "--storage-driver=vfs", "--cgroup-manager=cgroupfs"]

    def call(command: str, *argv: str) -> str:
        more = ["--network=none", "--cgroups=disabled", *limits] if command in {"run", "create"} else []
        return run(*on_plain_cgroups(name, *stores, command, *more, *argv))

    return call


@pytest.fixture(scope="session")
def docker(docker_engine: None) -> Program:
    return lambda *argv: run("docker", *argv).strip()
