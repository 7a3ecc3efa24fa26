"""Environments on a Dockerfile, a devcontainer.json, or an image of a registry."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.build.ensure import Built, ensure_built
from jupyter_containers.build.locking import find_reasons
from jupyter_containers.build.monitor import Event
from jupyter_containers.build.state import find_outdated
from jupyter_containers.errors import BuildError, HashMismatchError, LockError, NotFoundError
from jupyter_containers.image.gc import collect
from jupyter_containers.image.push import push
from jupyter_containers.image.registry_settings import RegistrySettings
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.lock.file import read_lock
from jupyter_containers.paths import Paths
from jupyter_containers.spec.load import load_spec

pytestmark = [pytest.mark.network, pytest.mark.slow]

DOCKERFILE = """\
FROM small AS tools
USER root
RUN printf '#!/bin/sh\\necho hello $1\\n' > /usr/local/bin/greet && chmod +x /usr/local/bin/greet
FROM small
ARG WHO=nobody
USER root
COPY --from=tools /usr/local/bin/greet /usr/local/bin/
COPY words.txt /srv/
RUN echo "$WHO" > /srv/who
ENV PLACE=/srv
USER 1000
"""
Project = Callable[..., Path]


@pytest.fixture
def folder(project: Project, small_environment: Built) -> Path:
    made = project("docker", '[build]\ndockerfile = "Dockerfile"\nargs = { WHO = "ann" }\n')
    (made / "Dockerfile").write_text(DOCKERFILE)
    (made / "words.txt").write_text("words\n")
    (made / "notebook.ipynb").write_text("{}")
    return made


def test_a_dockerfile_is_the_base(shared_home: Paths, folder: Path, small_environment: Built, run) -> None:
    built = ensure_built(folder, paths=shared_home)
    assert run(built.image, shared_home, "sh", "-c", "greet; cat /srv/who /srv/words.txt; echo $PLACE") == (
        "hello\nann\nwords\n/srv\n"
    )
    base = built.lock.base
    assert (base.kind, base.source, base.suite) == ("dockerfile", "dockerfile:Dockerfile", "trixie")
    assert base.digest == built.image.digest  # nothing comes on top: it is the Dockerfile's own image
    assert [(image.name, image.digest, image.reference) for image in base.images] == [
        ("small", small_environment.image.digest, "")
    ]
    assert [item.path for item in built.lock.inputs] == ["dockerfile:Dockerfile"]

    # An edit of what is not taken in is none of its business; of what is taken in, it is.
    (folder / "notebook.ipynb").write_text("{ }")
    assert ensure_built(folder, paths=shared_home).build_id == ""
    (folder / "words.txt").write_text("other\n")
    assert find_outdated(load_spec(folder), built.record, shared_home)
    assert find_reasons(load_spec(folder), built.lock, paths=shared_home) == (
        "Dockerfile, or a file that it takes in, was changed",
    )
    with pytest.raises(LockError, match="or a file that it takes in"):
        ensure_built(folder, paths=shared_home, locked=True)
    again = ensure_built(folder, paths=shared_home)
    assert run(again.image, shared_home, "cat", "/srv/words.txt") == "other\n"
    assert again.lock.base.images == built.lock.base.images


def test_packages_copies_and_steps_come_on_top(shared_home: Paths, folder: Path, run) -> None:
    spec = (folder / "jupyter-container.toml").read_text()
    (folder / "jupyter-container.toml").write_text(
        spec + 'copy = [{ source = "words.txt", target = "w" }]\nrun = ["greet top > /srv/top"]\n'
        '[packages]\napt = ["tree"]\n'
    )
    built = ensure_built(folder, paths=shared_home)
    assert run(built.image, shared_home, "sh", "-c", "cat /srv/top /home/jovyan/w; tree --version") != ""
    assert "tree" in {package.name for package in built.lock.apt["amd64"]}
    # The same lock gives the same image, all steps done anew.
    assert ensure_built(folder, paths=shared_home, no_cache=True).image.digest == built.image.digest


def test_python_packages_come_beside_those_of_the_dockerfile(shared_home: Paths, folder: Path, run) -> None:
    (folder / "Dockerfile").write_text(
        "FROM small\nUSER root\nRUN rm -rf /opt/venv && mkdir -p /usr/local/lib/python3.13/dist-packages && "
        "echo 'x = 5' > /usr/local/lib/python3.13/dist-packages/inimage.py\n"
        "ENV PATH=/usr/local/bin:/usr/bin:/bin VIRTUAL_ENV=\n"
    )
    (folder / "jupyter-container.toml").write_text(
        'name = "test-docker"\n[build]\ndockerfile = "Dockerfile"\n[packages]\npip = ["six"]\n'
    )
    built = ensure_built(folder, paths=shared_home)
    text = "import inimage, six, ipykernel, sys; print(inimage.x, sys.prefix)"
    assert run(built.image, shared_home, "python", "-c", text) == "5 /opt/venv\n"
    assert built.lock.python.interpreter.system_packages


def test_what_a_dockerfile_fetches_may_change_and_is_told(shared_home: Paths, folder: Path) -> None:
    built = ensure_built(folder, paths=shared_home)
    lock = folder / "jupyter-container.lock"
    lock.write_text(lock.read_text().replace(built.lock.base.digest, f"sha256:{'0' * 64}"))
    told: list[Event] = []
    again = ensure_built(folder, paths=shared_home, monitor=told.append)
    assert again.image.digest == built.image.digest
    assert any("dockerfile:Dockerfile gives the image" in event.text for event in told)


def test_a_dockerfile_that_fails_fails_the_build(shared_home: Paths, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM small\nRUN exit 3\n")
    with pytest.raises(BuildError, match="exit status 3"):
        ensure_built(folder, paths=shared_home)
    (folder / "Dockerfile").write_text("FROM no-such-image-anywhere.invalid/x:1\n")
    with pytest.raises(Exception, match="no-such-image-anywhere"):
        ensure_built(folder, paths=shared_home)
    assert not (folder / "jupyter-container.lock").exists()


def test_a_devcontainer(shared_home: Paths, project: Project, small_environment: Built, run) -> None:
    folder = project("devcontainer", '[build]\ndevcontainer = ".devcontainer/devcontainer.json"\n')
    (folder / ".devcontainer").mkdir()
    (folder / ".devcontainer/Dockerfile").write_text("FROM small\nCOPY words.txt /srv/\n")
    (folder / "words.txt").write_text("words\n")
    (folder / ".devcontainer/devcontainer.json").write_text(
        '{ // as an editor wrote it\n"build": {"dockerfile": "Dockerfile", "context": ".."},\n'
        '"containerEnv": {"GREETING": "hello"},\n"postCreateCommand": "cat words.txt > made; pwd >> made",\n}'
    )
    built = ensure_built(folder, paths=shared_home)
    output = run(built.image, shared_home, "sh", "-c", "cat /home/jovyan/made /srv/words.txt; echo $GREETING")
    assert output == "words\n/home/jovyan\nwords\nhello\n"


def test_an_image_of_a_registry_is_pinned(
    shared_home: Paths, project: Project, small_environment: Built, registry: str, tmp_path: Path, run
) -> None:
    store = Store(shared_home.store)
    name = f"{registry}/course/base:1"
    first = push(store, small_environment.image, name, settings=RegistrySettings())

    other = Paths(tmp_path / "home", tmp_path / "run").made()
    folder = project("from-registry", f'base = "image:{name}"\n')
    built = ensure_built(folder, paths=other)
    assert built.image.digest == small_environment.image.digest
    (pinned,) = read_lock(folder / "jupyter-container.lock").base.images
    assert pinned.reference == f"{registry}/course/base@{first.digest}"

    # The tag moves on; the lock does not, on a machine that has never seen the image, either.
    image = ensure_built(_other_image(project), paths=shared_home).image
    second = push(store, image, name, settings=RegistrySettings())
    remove_tree(other.store)
    fresh = Paths(tmp_path / "home2", tmp_path / "run2").made()
    assert ensure_built(folder, paths=fresh, locked=True).image.digest == small_environment.image.digest
    upgraded = ensure_built(folder, paths=fresh, upgrade=frozenset({name}))
    assert upgraded.image.digest == image.digest
    assert tomllib.loads((folder / "jupyter-container.lock").read_text())["base"]["images"][0]["reference"].endswith(
        second.digest
    )
    remove_tree(fresh.store)


def _other_image(project: Project) -> Path:
    folder = project("other-image", '[build]\ndockerfile = "Dockerfile"\n')
    (folder / "Dockerfile").write_text("FROM small\nENV OTHER=1\n")
    return folder


def test_a_registry_that_gives_another_image_is_told(
    project: Project, small_environment: Built, registry: str, shared_home: Paths, tmp_path: Path
) -> None:
    name = f"{registry}/course/lying:1"
    push(Store(shared_home.store), small_environment.image, name, settings=RegistrySettings())
    folder = project("lied-to", f'base = "image:{name}"\n')
    home = Paths(tmp_path / "home", tmp_path / "run").made()
    ensure_built(folder, paths=home)
    lock = folder / "jupyter-container.lock"
    lock.write_text(lock.read_text().replace(small_environment.image.digest, f"sha256:{'1' * 64}"))
    with pytest.raises(HashMismatchError, match="and the lock sha256:111"):
        ensure_built(folder, paths=home, locked=True)
    remove_tree(home.store)


def test_a_local_image_that_is_gone_is_told(project: Project, folder: Path, shared_home: Paths, tmp_path: Path) -> None:
    home = Paths(tmp_path / "home", tmp_path / "run").made()
    built = ensure_built(folder, paths=shared_home)
    assert built.lock.base.images[0].reference == ""
    with pytest.raises(NotFoundError, match="no registry is known to have it"):
        ensure_built(folder, paths=home, locked=True)
    collect(Store(home.store))
    remove_tree(home.store)
