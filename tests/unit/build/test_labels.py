"""What an image tells of its kernel to those who have no spec of it, and what is believed of a stranger's."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.build.labels import KERNEL_LABEL, PYTHON_LABEL, kernel_labels, read_kernel, read_python
from jupyter_containers.spec.load import load_spec
from jupyter_containers.spec.model import Kernel

STEPS = {"VIRTUAL_ENV": "/opt/venv", "PATH": "/opt/venv/bin:/usr/bin"}


def labels(folder: Path, text: str) -> dict[str, str]:
    (folder / "jupyter-container.toml").write_text(text)
    return kernel_labels(load_spec(folder), STEPS)


def test_a_python_kernel_has_its_interpreter(tmp_path: Path) -> None:
    found = labels(tmp_path, 'name = "a"\n')
    assert found == {PYTHON_LABEL: "/opt/venv/bin/python"}
    assert read_python(found) == "/opt/venv/bin/python"
    assert read_kernel(found) is None


def test_another_kernel_has_its_command_and_none_of_its_variables(tmp_path: Path) -> None:
    kernel = 'language = "R"\nargv = ["/usr/bin/R", "{connection_file}"]\nenv = { TOKEN = "secret" }\n'
    found = labels(tmp_path, f'name = "a"\npython = "none"\n[kernel]\n{kernel}')
    assert found.keys() == {KERNEL_LABEL}
    assert read_kernel(found) == Kernel(language="R", argv=("/usr/bin/R", "{connection_file}"))
    assert "secret" not in found[KERNEL_LABEL]


def test_an_image_that_is_taken_as_it_is_says_nothing_new(tmp_path: Path) -> None:
    assert labels(tmp_path, 'name = "a"\nbase = "image:debian:trixie"\n') == {}


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"argv": 1}', '{"argv": ["a\\u0000b"]}', '{"unknown": 1}', "[" * 10_000,
        '{"language": "' + "x" * (64 << 10) + '"}',
    ],
)  # fmt: skip
def test_what_is_no_kernel_is_not_there(text: str) -> None:
    assert read_kernel({KERNEL_LABEL: text}) is None


@pytest.mark.parametrize("text", ["", "python3", "../bin/python", "/bin/py\0thon", "/" + "x" * (64 << 10)])
def test_what_is_no_interpreter_is_not_there(text: str) -> None:
    assert read_python({PYTHON_LABEL: text}) == ""
