"""Environments as Dockerfiles and devcontainer.json files: what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_containers.build.dockerfile.parser import parse
from jupyter_containers.build.export.devcontainer import dump_devcontainer
from jupyter_containers.build.export.dockerfile import export_dockerfile
from jupyter_containers.build.export.original import pinned_dockerfile
from jupyter_containers.build.export.parts import Export, File, env_line
from jupyter_containers.errors import ConflictError, InputError, LockError
from jupyter_containers.exports import Exports
from jupyter_containers.lock.file import write_lock
from jupyter_containers.lock.fit import spec_digest
from jupyter_containers.lock.model import Base, DebianPackage, Interpreter, Lock, PinnedImage, PythonPackages
from jupyter_containers.paths import Paths
from jupyter_containers.spec.load import load_spec
from jupyter_containers.spec.model import LoadedSpec

REPOSITORY = "https://x.org/f.git"
ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64
DIGEST = f"sha256:{ONE}"
PINNED = PinnedImage(name="python:3.13", digest=DIGEST, reference=f"docker.io/library/python@{DIGEST}")


def deb(name: str, version: str, **more: str) -> DebianPackage:
    filename = f"pool/main/{name[0]}/{name}/{name}.deb"
    return DebianPackage(
        name=name, version=version, architecture="amd64", filename=filename, size=1, sha256=ONE, **more
    )  # fmt: skip


def wheel(name: str, version: str, *hashes: str, **more: Any) -> dict[str, Any]:
    wheels = [
        {"name": f"{name}-{version}-{at}-py3-none-any.whl", "url": f"https://x.org/{name}-{version}-{at}-py3-none-any.whl",
         "hashes": {"sha256": digest}}
        for at, digest in enumerate(hashes, 1)
    ]  # fmt: skip
    return {"name": name, "version": version, "wheels": wheels, **more}


PYTHON = PythonPackages(
    interpreter=Interpreter(version="3.13", path="/usr/bin/python3", full_version="3.13.5", glibc="2.41"),
    pylock={
        "lock-version": "1.0",
        "packages": [
            wheel("pip", "26.3", TWO),
            wheel("tomli", "2", TWO, THREE, marker="python_version < '3.11'"),
            {"name": "mine", "version": "1", "directory": {"path": "mine"}},
            {"name": "fresh", "version": "2", "vcs": {"type": "git", "url": REPOSITORY, "commit-id": "c0ffee"}},
        ],
    },
)  # fmt: skip
DEBIAN = Lock(
    spec_digest=DIGEST,
    base=Base(
        kind="debian", source="debian:trixie", suite="trixie", archive="http://deb.debian.org/debian",
        date="2026-11-21T09:15:44Z", packages={"amd64": (deb("libc6", "2.41-12"), deb("tzdata", "1:2025b-4"))},
    ),
    apt={"amd64": (deb("graphviz", "2.42.4-3~deb13u1"),)},
    python=PYTHON,
)  # fmt: skip


def loaded(folder: Path, spec: str = "") -> LoadedSpec:
    folder.mkdir(exist_ok=True)
    (folder / "jupyter-container.toml").write_text(f'name = "thesis"\n{spec}')
    return load_spec(folder)


def export(folder: Path, lock: Lock = DEBIAN, spec: str = "", dockerfile: str = "") -> Export:
    return export_dockerfile(
        loaded(folder, spec), lock, architecture="amd64", command="it", read=lambda name: dockerfile
    )  # fmt: skip


def test_versions_hashes_and_the_archive_as_it_was(tmp_path: Path) -> None:
    made = export(tmp_path / "p", spec='packages.apt = ["graphviz/trixie-backports"]\n')
    text = made.dockerfile
    parse(text)
    assert "FROM ${BASE}" in text
    assert "ARG BASE=debian:trixie-slim" in text
    assert "ARG DEBIAN=http://snapshot.debian.org/archive/debian/20261121T211544Z\n" in text
    assert "trixie-backports" in text
    for pin in ("libc6=2.41-12", "tzdata=1:2025b-4", "graphviz=2.42.4-3~deb13u1"):
        assert pin in text
    files = {file.path: file.content for file in made.files}
    assert f"{ONE}  tzdata_1%3a2025b-4_amd64.deb\n" in files["debs.sha256"]
    assert files["requirements.txt"] == (
        f"pip==26.3 \\\n    --hash=sha256:{TWO}\n"
        f"tomli==2 ; python_version < '3.11' \\\n    --hash=sha256:{TWO} \\\n    --hash=sha256:{THREE}\n"
    )
    assert "--require-hashes" in text
    assert f"https://x.org/pip-26.3-1-py3-none-any.whl \\\n        {TWO} " in text
    assert "COPY mine /tmp/jupyter-containers/packages/mine" in text
    assert '"fresh @ git+https://x.org/f.git@c0ffee"' in text
    assert dict(made.copies) == {"mine": "mine"}


def test_without_a_date_the_archive_is_the_current_one(tmp_path: Path) -> None:
    lock = msgspec.structs.replace(DEBIAN, base=msgspec.structs.replace(DEBIAN.base, date=""))
    assert "ARG DEBIAN=http://deb.debian.org/debian\n" in export(tmp_path / "p", lock).dockerfile


def test_steps_variables_and_labels_come_as_they_are(tmp_path: Path) -> None:
    spec = (
        '[build]\ncopy = [{ source = "a", target = "b" }]\nrun = ["echo \\"$X\\" \'y\' \\\\", "two\\nlines"]\n'
        '[build.env]\nX = \'a "b" $c \\d\'\n[labels]\n"org.example.a b" = "c"\n'
    )
    text = export(tmp_path / "p", spec=spec).dockerfile
    parse(text)
    assert r'ENV X="a \"b\" \$c \\d"' in text
    assert 'RUN ["/bin/sh", "-c", "echo \\"$X\\" \'y\' \\\\"]' in text
    assert 'RUN ["/bin/sh", "-c", "two\\nlines"]' in text
    assert "COPY --chown=1000:1000 a /home/jovyan/b" in text
    assert '"org.example.a b"="c"' in text
    assert text.index("ENV X=") < text.index("RUN [") < text.rindex("USER 1000:1000")


def test_one_file_has_it_all(tmp_path: Path) -> None:
    made = export(tmp_path / "p", spec='[build]\ncopy = [{ source = "a", target = "b" }]\n')
    text = made.alone
    dockerfile = parse(text)
    copies = {word for item in dockerfile.stages[0].instructions for word in getattr(item, "sources", ())}
    assert copies == {"mine", "a"}
    heredocs = [heredoc for item in dockerfile.stages[0].instructions for heredoc in getattr(item, "heredocs", ())]
    assert {heredoc.content for heredoc in heredocs} == {file.content for file in made.files}
    assert not any(heredoc.expand for heredoc in heredocs)


def test_what_a_dockerfile_cannot_say_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several lines"):
        env_line({"A": "b\nc"})
    lock = msgspec.structs.replace(DEBIAN, base=Base(kind="scratch", source="scratch+root.tar", digest=DIGEST))
    with pytest.raises(InputError, match="file of this host"):
        export(tmp_path / "p", lock)
    without = msgspec.structs.replace(PYTHON, pylock={"lock-version": "1.0", "packages": [wheel("six", "1", TWO)]})
    with pytest.raises(LockError, match="no pip"):
        export(tmp_path / "p", msgspec.structs.replace(DEBIAN, python=without))
    odd = Export(dockerfile="COPY a /\n", files=(File(path="a", content="JUPYTER_CONTAINERS\n"),))
    with pytest.raises(InputError, match="has a line"):
        _ = odd.alone


IMAGE = Lock(spec_digest=DIGEST, base=Base(kind="image", source="image:python:3.13", digest=DIGEST, images=(PINNED,)))
DOCKERFILE = Lock(
    spec_digest=DIGEST, base=Base(kind="dockerfile", source="dockerfile:Dockerfile", digest=DIGEST, images=(PINNED,))
)
TEXT = """\
ARG VERSION=3.13
FROM python:${VERSION} AS one
RUN one
FROM --platform=linux/amd64 \\
  python:3.13
COPY --from=one /a /b
FROM one AS three
RUN three
"""


def test_images_go_by_their_digest(tmp_path: Path) -> None:
    made = export(tmp_path / "p", IMAGE, 'base = "image:python:3.13"\n')
    assert f"ARG BASE=docker.io/library/python@{DIGEST}\nFROM ${{BASE}}" in made.dockerfile
    assert "USER" not in made.dockerfile  # nothing comes on top: the image's own settings stay
    local = msgspec.structs.replace(IMAGE.base, images=(PinnedImage(name="mine", digest=DIGEST),))
    made = export(tmp_path / "p", msgspec.structs.replace(IMAGE, base=local), 'base = "image:mine"\n')
    assert "image of this host" in made.notes[0]


def test_a_dockerfile_is_taken_over_with_what_was_locked() -> None:
    text, notes = pinned_dockerfile(TEXT, (PINNED,), target="", args={}, file="Dockerfile")
    assert text.splitlines() == [
        "ARG VERSION=3.13", "# python:3.13", f"FROM docker.io/library/python@{DIGEST} AS one", "RUN one",
        "FROM --platform=linux/amd64 \\", "  python:3.13", "COPY --from=one /a /b", "FROM one AS three", "RUN three",
    ]  # fmt: skip
    assert notes == ()
    text, notes = pinned_dockerfile(TEXT, (PINNED,), target="1", args={"VERSION": "3.13"}, file="Dockerfile")
    assert text.splitlines()[4:] == [
        "# python:3.13", f"FROM --platform=linux/amd64 docker.io/library/python@{DIGEST}", "COPY --from=one /a /b",
    ]  # fmt: skip
    assert notes == ("build it with --build-arg VERSION=3.13",)


def test_what_comes_on_a_dockerfile_comes_after_it(tmp_path: Path) -> None:
    made = export(tmp_path / "p", DOCKERFILE, '[build]\ndockerfile = "Dockerfile"\nrun = ["true"]\n', TEXT)
    parse(made.dockerfile)
    assert made.dockerfile.index("RUN three") < made.dockerfile.index("USER root") < made.dockerfile.index('"true"')
    assert made.context == "."
    plain = export(tmp_path / "p", DOCKERFILE, '[build]\ndockerfile = "Dockerfile"\n', TEXT)
    assert plain.dockerfile.endswith("RUN three\n")


def test_a_devcontainer_says_what_an_editor_needs(tmp_path: Path) -> None:
    spec = (
        'display-name = "Thesis"\nnetwork = "full"\nmounts = [{ source = "~/d", target = "/d" }, '
        '{ source = "x", target = "/x", mode = "rw" }, { source = "/srv", target = "/srv/y" }]\n'
        '[kernel.env]\nA = "1"\n[build.env]\nB = "2"\n'
    )
    document = json.loads(dump_devcontainer(loaded(tmp_path / "p", spec), args={"V": "1"}))
    assert document["name"] == "Thesis"
    assert document["build"] == {"dockerfile": "Dockerfile", "context": ".", "args": {"V": "1"}}
    assert document["remoteEnv"] == {"A": "1"}
    assert document["mounts"] == [
        "source=${localEnv:HOME}/d,target=/d,type=bind,readonly",
        "source=${localWorkspaceFolder}/x,target=/x,type=bind",
        "source=/srv,target=/srv/y,type=bind,readonly",
    ]
    # And it reads back as it was.
    (tmp_path / "q").mkdir()
    (tmp_path / "q/.devcontainer.json").write_text(json.dumps(document))
    again = load_spec(tmp_path / "q").spec
    assert [(mount.source, mount.target, mount.mode) for mount in again.mounts] == [
        ("~/d", "/d", "ro"), ("./x", "/x", "rw"), ("/srv", "/srv/y", "ro"),
    ]  # fmt: skip
    assert again.kernel.env == {"A": "1"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    spec = loaded(tmp_path / "p", '[build]\ncopy = [{ source = "words", target = "words" }]\n')
    (spec.folder / "words/in").mkdir(parents=True)
    (spec.folder / "words/in/a.txt").write_text("a")
    lock = msgspec.structs.replace(DEBIAN, python=None, spec_digest=spec_digest(spec))
    write_lock(spec.lock_file, lock)
    return spec.folder


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    paths = Paths(tmp_path / "home", tmp_path / "run").made()
    return Exports(paths, load=lambda reference: load_spec(Path(reference)))


def test_a_folder_has_all_that_is_taken_in(project: Path, exports: Exports, tmp_path: Path) -> None:
    exports.write_dockerfile(str(project), tmp_path / "out")
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*"))
    assert found == ["Dockerfile", "debs.sha256", "words", "words/in", "words/in/a.txt"]
    with pytest.raises(ConflictError, match="not empty"):
        exports.write_dockerfile(str(project), tmp_path / "out")
    exports.write_dockerfile(str(project), tmp_path / "out", force=True)
    exports.write_devcontainer(str(project), tmp_path / "editor")
    assert (tmp_path / "editor/.devcontainer/words/in/a.txt").read_text() == "a"
    assert (tmp_path / "editor/.devcontainer/devcontainer.json").exists()


def test_an_export_is_of_a_lock_that_fits(project: Path, exports: Exports, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no packages for s390x"):
        exports.dockerfile(str(project), architecture="s390x")
    spec = project / "jupyter-container.toml"
    spec.write_text(spec.read_text() + '[packages]\napt = ["curl"]\n')
    with pytest.raises(LockError, match="lacks the Debian packages curl"):
        exports.dockerfile(str(project))
    (project / "jupyter-container.lock").unlink()
    with pytest.raises(LockError, match="made from the lock"):
        exports.dockerfile(str(project))
