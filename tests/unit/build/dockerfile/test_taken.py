"""What a Dockerfile takes in of a folder: what makes its environment out of date, and goes along with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.build.inputs import hash_paths, taken_by_dockerfile
from jupyter_containers.errors import InputError, SpecError
from jupyter_containers.spec.load import load_spec


def put(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    put(
        made,
        a_dot_txt="a",
        b_dot_txt="b",
        data__x="x",
        data__y_dot_log="y",
        notebook_dot_ipynb="{}",
        _dot_git__HEAD="h",
    )
    (made / "link").symlink_to("data")
    return made


def taken(folder: Path, dockerfile: str, spec: str = "") -> list[str]:
    (folder / "Dockerfile").write_text(dockerfile)
    if spec:
        (folder / "jupyter-container.toml").write_text(spec)
    return [item.path for item in taken_by_dockerfile(load_spec(folder))]


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("RUN true", []),
        ("COPY a.txt /", ["a.txt"]),
        ("COPY ./a.txt /b.txt", ["a.txt"]),
        ("COPY *.txt missing /", ["a.txt", "b.txt"]),
        ("COPY data /srv", ["data", "data/x", "data/y.log"]),
        ("COPY link/x /srv", ["data/x", "link"]),
        ("ADD a.txt https://example.org/x.tar git@host:x.git /", ["a.txt"]),
        ("COPY --from=0 /etc/passwd /", []),
        ("COPY <<EOF /x\na.txt\nEOF", []),
        ("RUN --mount=type=bind,source=data,target=/data true", ["data", "data/x", "data/y.log"]),
        ("RUN --mount=type=cache,target=/data true", []),
        ("COPY . /", ["a.txt", "b.txt", "data", "data/x", "data/y.log", "link", "notebook.ipynb"]),
        ("ARG NAME=a.txt\nCOPY $NAME /", ["a.txt", "b.txt", "data", "data/x", "data/y.log", "link", "notebook.ipynb"]),
    ],
)
def test_what_an_instruction_takes(folder: Path, instruction: str, expected: list[str]) -> None:
    found = taken(folder, f"FROM scratch AS first\nFROM scratch\n{instruction}\n")
    assert found == sorted(["Dockerfile", *expected])


def test_what_is_ignored_is_not_taken(folder: Path) -> None:
    (folder / ".dockerignore").write_text("**/*.log\nlink\n*.ipynb\nDockerfile\n")
    assert taken(folder, "FROM scratch\nCOPY . /\n") == [
        ".dockerignore", "Dockerfile", "a.txt", "b.txt", "data", "data/x",
    ]  # fmt: skip


def test_only_stages_that_are_built_count(folder: Path) -> None:
    text = "FROM scratch AS one\nCOPY a.txt /\nFROM scratch AS two\nCOPY b.txt /\nFROM one AS three\n"
    assert taken(folder, text) == ["Dockerfile", "a.txt"]
    assert taken(folder, text, '[build]\ndockerfile = "Dockerfile"\ntarget = "two"\n') == ["Dockerfile", "b.txt"]


def test_a_context_of_its_own(folder: Path) -> None:
    (folder / "data/Dockerfile").write_text("FROM scratch\nCOPY x /\n")
    spec = '[build]\ndockerfile = "data/Dockerfile"\ncontext = "data"\n'
    assert taken(folder, "FROM scratch\n", spec) == ["data/Dockerfile", "data/x"]


def test_the_hash_follows_what_is_taken(folder: Path, tmp_path: Path) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY a.txt data /srv/\n")

    def hashed() -> str:
        return hash_paths(load_spec(folder), ["dockerfile:Dockerfile"], tmp_path / "memory")["dockerfile:Dockerfile"]

    first = hashed()
    (folder / "b.txt").write_text("other")
    (folder / "notebook.ipynb").write_text("edited")
    (folder / "jupyter-container.lock").write_text("")
    assert hashed() == first
    (folder / "data/new").write_text("")
    second = hashed()
    (folder / "data/new").unlink()
    (folder / "a.txt").chmod(0o755)
    third = hashed()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY a.txt data /srv/\nUSER 5\n")
    assert len({first, second, third, hashed()}) == 4


def test_what_leads_out_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "jupyter-container.toml").write_text('[build]\ndockerfile = "out/Dockerfile"\n')
    with pytest.raises(ValueError, match="outside of the spec's folder"):
        taken_by_dockerfile(load_spec(folder))
    with pytest.raises(SpecError, match="cannot be read"):
        hash_paths(load_spec(folder), ["dockerfile:out/Dockerfile"], tmp_path / "memory")
    (folder / "jupyter-container.toml").write_text('[build]\ndockerfile = "data/Dockerfile"\n')
    (folder / "data/Dockerfile").write_text("FROM scratch\nCOPY out /\n")
    assert [item.path for item in taken_by_dockerfile(load_spec(folder))] == ["data/Dockerfile"]


def test_a_dockerfile_that_is_not_well_formed_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match="Dockerfile is not valid"):
        taken(folder, "FROM scratch\nCPY a /\n")
