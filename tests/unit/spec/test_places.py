from __future__ import annotations

import pytest

from jupyter_containers.spec.inputs import find_missing_inputs, find_missing_mounts
from jupyter_containers.spec.load import load_spec
from jupyter_containers.spec.places import find_line, find_place

NATIVE = """\
base = "debian:trixi"
# numpy is what we need
[packages]
apt = [
  "grafviz",
]
pip = ["numpy<1", "Scikit_Learn", "six"]
[[mounts]]
source = "lost"
target = "/data"
[build]
copy = [{ source = "gone", target = "gone" }]
"""


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "jupyter-container.toml").write_text(NATIVE)
    return load_spec(tmp_path)


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("you require numpy<1 and numpy>=2, which are incompatible", ":7"),
        ("there is no package 'grafviz' in trixie; no version of scikit-learn==9", ":5,7"),
        ("numpy-financial was not found", ""),
        ("there is no suite 'trixi' in http://deb.debian.org/debian", ":1"),
        ("python 3.9: debian:trixie has Python 3.13", ""),
    ],
)
def test_the_place_of_what_a_resolution_tells(loaded, message, lines):
    assert find_place(loaded, message) == f"{loaded.file}{lines}"


def test_files_of_lines(tmp_path):
    (tmp_path / "requirements.txt").write_text("-r more.txt\n")
    (tmp_path / "more.txt").write_text("# cowsay\n\ncowsay>=9  # loud\n")
    loaded = load_spec(tmp_path)
    assert find_place(loaded, "there is no version of cowsay>=9") == f"{tmp_path}/more.txt:3"
    assert find_line(loaded, ("packages",)) is None


def test_what_is_missing_has_its_line(loaded):
    assert [problem.line for problem in find_missing_mounts(loaded)] == [9]
    assert [problem.line for problem in find_missing_inputs(loaded)] == [12]


def test_keys_of_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        "[tool.jupyter-containers]\nname = 'x'\nmounts = [\n{source='a',target='/a'}]\n"
    )
    loaded = load_spec(tmp_path)
    assert find_line(loaded, ("mounts", 0, "source"), "a") == 4
    assert find_line(loaded, ("mounts", 0, "source"), "b") is None
    assert find_line(loaded, ("mounts", 1)) is None
