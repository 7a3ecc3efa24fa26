"""What a user may get wrong, and what may be missing: each is refused with one clear message, and nothing is lost.

Each test types a command and looks at its end: status, message, no traceback, the images and environments that were
there, no staging folder, no lock. That all is whole and still runs is looked at once more after the last.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.network, pytest.mark.slow]

PLAIN = 'base = "BASE"\n[kernel]\nargv = ["/bin/sh", "{connection_file}"]\n'
"""A spec whose kernel needs no Python package."""
NOBODY = "http://127.0.0.1:9"
"""Nobody listens at the discard port."""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = 'x'\n[package]\npip = []\n", [":2: package: unknown key. Did you mean `packages`?"]),
        ("name = 'x'\n[resources]\nmemroy = '1G'\n", [":3: resources.memroy: unknown key. Did you mean `memory`?"]),
        ("name = 'x'\n[packages\n", [":2: not valid TOML: ", "See https://toml.io"]),
        ("name = 'X Y'\n", [":1: name: 'X Y'", "Write 'x-y'"]),
        (
            "packages.pip = ['six==1.16.0', 'six==1.17.0']\n",
            [":1: packages.pip[1]: six is wanted as 1.17.0 here and as 1.16.0", "Keep one of them"],
        ),
        (
            "[build]\ncopy = [{ source = 'a', target = '/etc/passwd' }]\n",
            [":2: build.copy[0].target: '/etc/passwd' is absolute", "Write 'passwd', and move it by a line"],
        ),
        (
            "[build]\ncopy = [{ source = 'a', target = '../.bashrc' }]\n",
            [":2: build.copy[0].target: '../.bashrc' holds `..`", "Write a path without `..`"],
        ),
        (
            "[build]\ncopy = [{ source = 'no-such-file', target = 'a' }]\n",
            ["build.copy[0].source: 'no-such-file' does not exist", "Make it, or correct the path"],
        ),
    ],
)
def test_a_spec_that_is_not_valid(desk, text, says):
    folder = desk.write("spec", text)
    desk.refused("build", folder, says=[f"{folder}/jupyter-container.toml", *says], status=2)


def test_all_that_is_wrong_is_told_together(desk):
    folder = desk.write(
        "spec", "nmae = 'x'\n[packages]\npip = [1]\n[build]\ncopy = [{ source = '/a', target = '/b' }]\n"
    )
    message = desk.refused("build", folder, says=["`name`", "packages.pip[0]", "copy[0].source", "copy[0].target"])
    assert len(message.splitlines()) == 5


@pytest.mark.parametrize(
    ("packages", "says"),
    [
        ("pip = ['ipykernel==7.1.0', 'traitlets<4']", ["ipykernel==7.1.0", "traitlets", "packages.pip"]),
        ("pip = ['six>=1000']", ["packages.pip", "six>=1000"]),
        ("pip = ['no-such-package-of-anyone']", ["packages.pip", "no-such-package-of-anyone", "not found"]),
        ("apt = ['tree=99.0']", ["packages.apt", "tree=99.0"]),
        ("apt = ['no-such-package-of-anyone']", ["packages.apt", "no-such-package-of-anyone"]),
        ("apt = ['tre']", ["packages.apt", "tre", "did you mean", "tree"]),
    ],
)
def test_packages_that_cannot_be_had(desk, packages, says):
    folder = desk.write("packages", f"{PLAIN}[packages]\n{packages}\n")
    desk.refused("build", folder, says=[f"{folder}/jupyter-container.toml", *says], status=1)
    assert not (folder / "jupyter-container.lock").exists()


def test_a_python_that_the_base_does_not_have(desk):
    folder = desk.write("python", "base = 'BASE'\npython = '>=4'\n")
    desk.refused("build", folder, says=[f"{folder}/jupyter-container.toml", "python", ">=4", "3.13"], status=1)


@pytest.mark.parametrize("package", ["pip = ['idna==3.10']", "apt = ['tree']"])
def test_bytes_that_are_not_what_the_lock_says(desk, package):
    folder = desk.write("hashes", f"{PLAIN}[packages]\n{package}\n")
    lock = folder / "jupyter-container.lock"
    lock.unlink(missing_ok=True)
    done = desk.call("lock", folder)
    assert done.returncode == 0, done.stderr
    text, count = re.subn(r'(sha256 = ")[0-9a-f]{64}"', rf'\g<1>{"0" * 64}"', lock.read_text())
    assert count
    lock.write_text(text)
    desk.refused("build", "--locked", folder, says=["0" * 64, "wrong content", "mirror"], status=1)
    assert lock.read_text() == text
    # With the right hash the same build works: no wrong bytes were kept.
    lock.unlink()
    done = desk.call("build", "--no-kernelspec", folder)
    assert done.returncode == 0, done.stderr
    assert desk.call("env", "remove", "--image", "hashes").returncode == 0


@pytest.mark.parametrize(
    ("packages", "environment"),
    [
        ("apt = ['tree']", {"JUPYTER_CONTAINERS_DEBIAN_MIRROR": f"{NOBODY}/debian"}),
        (f"pip = ['idna==3.10']\nindex-url = '{NOBODY}/simple'", {}),
    ],
)
def test_a_mirror_that_does_not_answer(desk, packages, environment):
    folder = desk.write("mirror", f"{PLAIN}[packages]\n{packages}\n")
    desk.refused("build", folder, says=["127.0.0.1", "hint: set "], status=1, **environment)


def test_a_step_that_fails(desk):
    folder = desk.write("step", f"{PLAIN}[build]\nrun = ['true', 'echo told >&2; exit 3']\n")
    message = desk.refused("build", folder, says=["echo told >&2; exit 3", "exit status 3", "| told"], status=1)
    log = re.search(r"log: (\S+)", message)
    assert log is not None and "told" in Path(log[1]).read_text()


def test_what_was_built_before_stays_when_a_build_fails(desk):
    folder = desk.write("again", f"{PLAIN}[build]\nrun = ['echo one > /result']\n")
    assert desk.call("build", folder).returncode == 0
    desk.write("again", f"{PLAIN}[build]\nrun = ['echo two > /result; false']\n")
    desk.refused("build", folder, says=["exit status 1"], status=1)
    done = desk.call("run", "--rm", "again", "cat", "/result")
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr
    assert desk.call("env", "remove", "--image", "again").returncode == 0


@pytest.mark.parametrize("command", ["run", "execute"])
def test_a_mount_whose_source_is_missing(desk, command):
    folder = desk.write("mounts", f"{PLAIN}[[mounts]]\nsource = 'lost'\ntarget = '/data'\n")
    (folder / "a.ipynb").write_text(notebook("python"))
    argv = ("run", folder, "true") if command == "run" else ("execute", folder / "a.ipynb")
    desk.refused(*argv, says=[f"{folder}", "lost", "does not exist"], status=2)


def test_a_limit_that_cannot_be_enforced(desk):
    folder = desk.write("gpus", f"{PLAIN}[resources]\ngpus = 900\n")
    desk.refused("run", folder, "true", says=["900 GPU(s) were asked for"], status=1)


def test_a_notebook_in_another_language(desk):
    folder = desk.write("language", 'base = "BASE"\n')
    (folder / "a.ipynb").write_text(notebook("R"))
    says = [f"{folder / 'a.ipynb'} is written in R", "the kernel of language speaks python", "kernel.language"]
    desk.refused("execute", folder / "a.ipynb", says=says, status=2)
    assert not (folder / "a.executed.ipynb").exists()


def test_two_environments_of_one_name(desk):
    folder = desk.write("twin", 'name = "steady"\nbase = "BASE"\n')
    says = ["the name 'steady' belongs to ", f"`jupyter containers build --name steady-2 {folder}`"]
    desk.refused("build", folder, says=says, status=1)
    assert not (folder / "jupyter-container.lock").exists()
    assert desk.call("build", "--name", "steady-2", folder).returncode == 0
    assert desk.call("run", "--rm", folder, "true").returncode == 0
    assert {view["name"]: view["state"] for view in json.loads(desk.call("env", "list", "--json").stdout)} == {
        "steady": "ready", "steady-2": "ready",
    }  # fmt: skip
    assert desk.call("env", "remove", "--image", "steady-2").returncode == 0


@pytest.mark.parametrize("given", ["no-such-name", "no/such/folder", "."])
def test_what_is_not_there(desk, given):
    (desk.folder / "empty").mkdir(exist_ok=True)
    desk.refused("build", str(desk.folder / "empty") if given == "." else given, says=["no"])


def notebook(language: str) -> str:
    return json.dumps({
        "nbformat": 4, "nbformat_minor": 5, "cells": [],
        "metadata": {"kernelspec": {"name": "x", "display_name": "X", "language": language}},
    })  # fmt: skip
