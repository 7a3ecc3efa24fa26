"""The same Dockerfiles built by docker: the same tree (by content) and the same configuration.

Its classic builder is the one that needs nothing from a registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dockerfile_case as cases
import msgspec
import pytest

from jupyter_containers.build.dockerfile.builder import build_dockerfile
from jupyter_containers.image.model import Image
from jupyter_containers.image.saving import save_images
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths

COMPARED = [name for name in cases.case_names() if cases.read_case(name).docker and not cases.read_case(name).error]
REFUSED = [name for name in cases.case_names() if cases.read_case(name).docker and cases.read_case(name).error]

CONFIG = ("Cmd", "Entrypoint", "Env", "WorkingDir", "User", "ExposedPorts", "Volumes", "Labels", "StopSignal", "Shell",
          "OnBuild", "Healthcheck")  # fmt: skip


def _docker(*words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(["docker", *words], capture_output=True, text=True, env=environ, check=False, **options)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def docker(docker_engine: None, base: Image, home: Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    archive = tmp_path_factory.mktemp("docker") / "base.tar"
    save_images(Store(home.store), [(base, ("cases-base:latest",))], archive, form="docker-archive")
    _docker("load", "-i", str(archive))
    yield
    _docker("rmi", "-f", "cases-base:latest", check=False)


def _build(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    case = cases.read_case(name)
    arguments = [word for key, value in case.args.items() for word in ("--build-arg", f"{key}={value}")]
    target = ["--target", case.target] if case.target else []
    return _docker("build", "-q", "-t", f"cases-{name}", *arguments, *target, str(folder), check=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPARED)
def test_same_tree_and_configuration(name: str, docker: None, base: Image, home: Paths):
    case, folder = cases.read_case(name), cases.CASES / name
    ours = build_dockerfile(case.request(folder), paths=home)
    done = _build(name, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        assert cases.tree_of(ours, Store(home.store)) == _docker_tree(f"cases-{name}")
        theirs = json.loads(_docker("image", "inspect", f"cases-{name}").stdout)[0]["Config"]
        config = msgspec.json.decode(msgspec.json.encode(ours.config.execution))
        # Nothing is written for "/" by the classic builder, and by BuildKit it is.
        config["WorkingDir"], theirs["WorkingDir"] = (
            config.get("WorkingDir") or "/",
            theirs["WorkingDir"] or "/",
        )
        for key in CONFIG:
            assert (config.get(key) or None) == (theirs.get(key) or None), key
    finally:
        _docker("rmi", "-f", f"cases-{name}", check=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_docker_refuses_it_too(name: str, docker: None):
    done = _build(name, cases.CASES / name)
    _docker("rmi", "-f", f"cases-{name}", check=False)
    assert done.returncode != 0


def _docker_tree(name: str) -> dict[str, tuple[str, int, str]]:
    container = _docker("create", name, "true").stdout.strip()
    result: dict[str, tuple[str, int, str]] = {}
    process = subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                path = member.name.rstrip("/")
                if path in cases.MADE_BY_ENGINES or path in {"", "."}:
                    continue
                if member.issym():
                    result[path] = ("link", 0o777, member.linkname)
                elif member.isdir():
                    result[path] = ("folder", member.mode & 0o7777, "")
                elif member.islnk():
                    result[path] = result[member.linkname]
                else:
                    content = archive.extractfile(member)
                    assert content is not None
                    result[path] = ("file", member.mode & 0o7777, hashlib.sha256(content.read()).hexdigest())
    finally:
        process.stdout.close()
        process.wait()
        _docker("rm", "-f", container)
    return result
