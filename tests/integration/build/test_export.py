"""What ``to-dockerfile`` and ``to-devcontainer`` write, built by our builder and by docker: the same packages."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.build.dockerfile.builder import Request, build_dockerfile
from jupyter_containers.build.ensure import Built, ensure_built
from jupyter_containers.build.network import host_network
from jupyter_containers.errors import BuildError
from jupyter_containers.exports import Exports
from jupyter_containers.image.model import Image
from jupyter_containers.image.saving import save_images
from jupyter_containers.image.store import Store
from jupyter_containers.lock.settings import Settings
from jupyter_containers.paths import Paths
from jupyter_containers.spec.load import load_spec

pytestmark = [pytest.mark.network, pytest.mark.slow]

SPEC = """\
[packages]
apt = ["figlet"]
pip = ["six", "./mine"]

[build]
copy = [{ source = "words.txt", target = "data/words.txt" }]
run = ["echo \\"it's $((1 + 1))\\" > $HOME/made", "printf '%s' \\"$GREETING\\" >> $HOME/made"]
env = { GREETING = "a \\"b\\" $c", HOME = "/home/jovyan" }
"""
BASE = 'python = "none"\n[kernel]\nargv = ["/bin/sh", "{connection_file}"]\nlanguage = "sh"\n'
LOOK = (
    "dpkg-query -W; /opt/venv/bin/python -m pip list --format freeze 2> /dev/null; "
    "cat /home/jovyan/made /home/jovyan/data/words.txt; echo; echo $GREETING $HOME; which python; figlet x"
)
CERTIFICATES = "/usr/local/share/host.crt"


@pytest.fixture
def built(shared_home: Paths, project: Callable[..., Path]) -> Built:
    folder = project("export", SPEC)
    (folder / "mine/src/mine").mkdir(parents=True)
    (folder / "mine/src/mine/__init__.py").write_text('"""Ours."""\n')
    (folder / "mine/pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "1"\ndescription = "ours"\n'
        '[build-system]\nrequires = ["flit-core>=3.4"]\nbuild-backend = "flit_core.buildapi"\n'
    )
    (folder / "words.txt").write_text("words\n")
    return ensure_built(folder, paths=shared_home)


@pytest.fixture
def base(shared_home: Paths, project: Callable[..., Path], tmp_path: Path) -> Image:
    """In place of Debian's own image, which lies in a registry: the same packages, with this host's certificates."""
    bare = ensure_built(project("export-base", BASE), paths=shared_home).image
    context = tmp_path / "base"
    context.mkdir()
    bundle = next((data for name, data in host_network().files.items() if name.endswith(".crt")), b"")
    (context / "host.crt").write_bytes(bundle)
    text = f"FROM {bare.digest}\nUSER root\n"
    if bundle:
        text += f"COPY host.crt {CERTIFICATES}\nENV SSL_CERT_FILE={CERTIFICATES} PIP_CERT={CERTIFICATES}\n"
    request = Request(context=context, text=text, tags=("test-export-base:1",))
    return build_dockerfile(request, paths=shared_home)


@pytest.fixture
def exports(shared_home: Paths) -> Exports:
    return Exports(shared_home, load=lambda reference: load_spec(Path(reference)))


def archives(lock_archive: str) -> dict[str, str]:
    """Mirrors in place of the snapshot, which keeps every version and is slow."""
    settings = Settings.current()
    return {"DEBIAN": lock_archive, "DEBIAN_SECURITY": settings.security_archives[0]}


def test_our_builder(
    shared_home: Paths, built: Built, base: Image, exports: Exports, tmp_path: Path, run: Callable[..., str]
) -> None:
    exports.write_dockerfile(str(built.loaded.folder), tmp_path / "out")
    arguments = {"BASE": "test-export-base:1", **archives(built.lock.base.archive)}
    image = build_dockerfile(Request(context=tmp_path / "out", arguments=arguments), paths=shared_home)
    expected = run(built.image, shared_home, "sh", "-c", LOOK)
    assert "mine==1" in expected and "figlet\t" in expected
    assert run(image, shared_home, "sh", "-c", LOOK) == expected
    assert (image.config.execution.user, image.config.execution.working_dir) == ("1000:1000", "/home/jovyan")

    # One file that has it all, with the spec's folder as the context, is the same.
    text = exports.dockerfile(str(built.loaded.folder)).alone
    request = Request(context=built.loaded.folder, text=text, arguments=arguments)
    assert run(build_dockerfile(request, paths=shared_home), shared_home, "sh", "-c", LOOK) == expected


def test_a_file_with_another_hash_is_not_installed(
    shared_home: Paths, built: Built, base: Image, exports: Exports, tmp_path: Path
) -> None:
    exports.write_dockerfile(str(built.loaded.folder), tmp_path / "out")
    arguments = {"BASE": "test-export-base:1", **archives(built.lock.base.archive)}
    six = r"(?<=^six==1\.17\.0 \\\n    --hash=sha256:)."
    for name, line in (("debs.sha256", r"^.(?=\S+  figlet_)"), ("requirements.txt", six)):
        file = tmp_path / "out" / name
        whole = file.read_text()
        changed = re.sub(line, lambda match: "0" if match[0] != "0" else "1", whole, flags=re.MULTILINE)
        assert changed != whole
        file.write_text(changed)
        with pytest.raises(BuildError, match=r"FAILED|DO NOT MATCH"):
            build_dockerfile(Request(context=tmp_path / "out", arguments=arguments), paths=shared_home)
        file.write_text(whole)


def docker(*words: str) -> str:
    environ = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(["docker", *words], capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def docker_base(docker_engine: None, shared_home: Paths, base: Image, tmp_path: Path) -> Iterator[str]:
    save_images(
        Store(shared_home.store), [(base, ("test-export-base:1",))], tmp_path / "base.tar", form="docker-archive"
    )
    docker("load", "-i", str(tmp_path / "base.tar"))
    yield "test-export-base:1"
    docker("rmi", "-f", "test-export-base:1")


def test_docker(
    shared_home: Paths, built: Built, docker_base: str, exports: Exports, tmp_path: Path, run: Callable[..., str]
) -> None:
    exports.write_dockerfile(str(built.loaded.folder), tmp_path / "out")
    given = {"BASE": docker_base, **archives(built.lock.base.archive), **host_network().env}
    arguments = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
    docker("build", "--network=host", *arguments, "-t", "test-exported", str(tmp_path / "out"))
    try:
        output = docker("run", "--rm", "--network=none", "test-exported", "sh", "-c", LOOK)
        assert output == run(built.image, shared_home, "sh", "-c", LOOK)
        assert docker("run", "--rm", "--network=none", "test-exported", "id", "-un").strip() == "jovyan"
    finally:
        docker("rmi", "-f", "test-exported")


def test_a_devcontainer_goes_there_and_back(
    shared_home: Paths, built: Built, exports: Exports, tmp_path: Path, project: Callable[..., Path]
) -> None:
    exports.write_devcontainer(str(built.loaded.folder), tmp_path / "out")
    loaded = load_spec(tmp_path / "out")
    assert loaded.spec.build.dockerfile == ".devcontainer/Dockerfile"
    assert loaded.spec.build.context == ".devcontainer"
    assert (tmp_path / "out/.devcontainer/mine/pyproject.toml").exists()
