"""`init` and `add`: a first spec from what a folder has, and changes that keep the user's formatting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.errors import SpecError
from jupyter_containers.spec.draft import draft_spec
from jupyter_containers.spec.imports import distribution, imported, installed
from jupyter_containers.spec.load import load_spec


def notebook(*cells: str) -> str:
    made = [
        {"cell_type": "code", "source": cell.splitlines(keepends=True), "metadata": {}, "outputs": []} for cell in cells
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def drafted(folder: Path) -> str:
    """The draft's text, once it is shown to be a spec."""
    text = draft_spec(folder)
    (folder / "jupyter-container.toml").write_text(text)
    return text


def test_an_empty_folder_gives_a_spec(tmp_path: Path) -> None:
    drafted(tmp_path)

    assert load_spec(tmp_path).spec.packages.pip == ()


def test_imports_become_packages(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(
        notebook(
            "%matplotlib inline\nimport os, sys\nimport numpy as np, sklearn.svm\nfrom google.cloud import storage",
            "%%bash\nimport nothing",
            "%%time\nimport cv2\n!pip install -q 'cowsay==6.1' && echo done\nnp.array?",
            "!apt-get install -y graphviz libgomp1\nthis is no python\nfrom PIL import Image\nimport yaml, bs4 as b",
            "import helper, mypkg.sub, srcpkg\nfrom . import x",
        )
    )
    (tmp_path / "helper.py").write_text("import attr\n")
    (tmp_path / "mypkg").mkdir()
    (tmp_path / "mypkg" / "__init__.py").write_text("")
    (tmp_path / "src" / "srcpkg").mkdir(parents=True)
    (tmp_path / "src" / "srcpkg" / "a.py").write_text("")

    text = drafted(tmp_path)

    packages = load_spec(tmp_path).spec.packages
    assert packages.pip == (
        "attrs", "beautifulsoup4", "cowsay==6.1", "google-cloud-storage", "matplotlib", "numpy",
        "opencv-python-headless", "pillow", "PyYAML", "scikit-learn",
    )  # fmt: skip
    assert packages.apt == ("graphviz", "libgomp1")
    assert "import cv2 (a.ipynb)" in text


def test_other_formats_are_taken_over_and_imports_that_they_lack_added(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy<2\n-c c.txt\n")
    (tmp_path / "c.txt").write_text("six<2\n")
    (tmp_path / "apt.txt").write_text("git\n")
    (tmp_path / "postBuild").write_text("#!/bin/sh\ntrue\n")
    (tmp_path / "a.ipynb").write_text(notebook("import numpy, six"))
    before = load_spec(tmp_path).spec

    text = drafted(tmp_path)

    after = load_spec(tmp_path).spec
    assert after.packages.pip == ("numpy<2", "six")
    assert after.packages.constraints == ("six<2",)
    assert after.packages.apt == ("git",)
    assert after.build == before.build
    assert "requirements.txt" in text


def test_a_mistake_in_another_format_is_told(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six=1\n")

    with pytest.raises(SpecError, match=r"requirements\.txt:1"):
        draft_spec(tmp_path)


def test_a_broken_notebook_is_skipped_and_said(tmp_path: Path) -> None:
    (tmp_path / "bad.ipynb").write_text("nothing")
    (tmp_path / "good.ipynb").write_text(notebook("import six"))

    assert "# Not looked at: " in drafted(tmp_path)
    assert load_spec(tmp_path).spec.packages.pip == ("six",)


def test_names_of_files_stay_in_their_comments(tmp_path: Path) -> None:
    (tmp_path / "a\n]\nx = 1.ipynb").write_text(notebook("import six"))
    (tmp_path / "b\n]\nx = 1.ipynb").write_text("nothing")

    drafted(tmp_path)

    assert load_spec(tmp_path).spec.packages.pip == ("six",)


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["import a", "!pip install b", "%x", "x = !ls"]))))
def test_any_code_can_be_searched(lines: list[str]) -> None:
    source = "\n".join(lines)
    assert all(isinstance(name, str) for name in imported(source))
    assert all(tool in {"pip", "apt"} for tool, _ in installed(source))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("!pip install a b>=2", ["a", "b>=2"]),
        ("%pip install -U a --index-url https://x b", ["a", "b"]),
        ("!{sys.executable} -m pip install a", ["a"]),
        ("!python3 -m pip install a; ls", ["a"]),
        ("!uv pip install a > log", ["a"]),
        ("!pip install -r requirements.txt", []),
        ("!pip install $name {other}", []),
        ("!pip uninstall a", []),
        ("print('!pip install a')", []),
    ],
)
def test_install_lines(line: str, found: list[str]) -> None:
    assert [package for _, package in installed(line)] == found


@pytest.mark.parametrize(
    ("module", "package"),
    [("sklearn.svm", "scikit-learn"), ("google.cloud.storage", "google-cloud-storage"), ("my_module.x", "my-module")],
)
def test_distributions_of_modules(module: str, package: str) -> None:
    assert distribution(module) == package
