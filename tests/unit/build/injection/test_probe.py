from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from jupyter_containers.build.injection import probe
from jupyter_containers.build.injection.packages import platform_of
from jupyter_containers.build.injection.places import REQUIREMENTS
from jupyter_containers.build.injection.probe import ImagePython, judge

GOOD = {"version": [3, 12, 4], "implementation": "cpython", "libc": "glibc 2.36", "host": "x86_64-linux-gnu",
        "threads": "0", "kernel": ""}  # fmt: skip


def answer(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def test_an_interpreter_that_will_do() -> None:
    found = judge("/usr/bin/python3", answer())
    assert found == ImagePython(path="/usr/bin/python3", version="3.12", libc="glibc", libc_version="2.36")
    musl = judge("/usr/bin/python3", answer(libc="", host="x86_64-alpine-linux-musl", kernel="6.29.5"))
    assert isinstance(musl, ImagePython) and (musl.libc, musl.kernel) == ("musl", "6.29.5")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": [3, 8, 1]}, "is Python 3.8, and kernels are for 3.9 to 3.14"),
        ({"version": [2, 7, 18], "implementation": ""}, "is Python 2.7"),
        ({"version": [3, 15, 0]}, "is Python 3.15"),
        ({"implementation": "pypy"}, "is pypy 3.12"),
        ({"threads": "1"}, "free-threaded"),
        ({"libc": "", "host": ""}, "does not tell its C library"),
        ({"libc": "glibc ../../x"}, "does not tell its C library"),
        ({"version": "3.12"}, "does not run"),
    ],
)
def test_interpreters_that_will_not_do_say_why(changes: dict[str, object], reason: str) -> None:
    found = judge("/usr/bin/python3", answer(**changes))
    assert isinstance(found, str) and reason in found


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{", b"\xff", None])
def test_what_is_no_answer_is_an_interpreter_that_does_not_run(text: bytes | None) -> None:
    assert judge("/usr/bin/python3", text) == "its /usr/bin/python3 does not run"


def test_a_kernel_version_that_is_none_counts_as_none() -> None:
    found = judge("/usr/bin/python3", answer(kernel="6; rm -rf /"))
    assert isinstance(found, ImagePython) and found.kernel == ""


def test_this_python_answers_as_it_should() -> None:
    done = subprocess.run([sys.executable, "-c", probe._QUESTION], capture_output=True, check=True)
    found = judge("/usr/bin/python3", done.stdout)
    assert isinstance(found, ImagePython) and found.version == "{}.{}".format(*sys.version_info)
    assert found.kernel  # of the tests' own environment


@pytest.mark.parametrize(
    ("libc", "version", "architecture", "platform"),
    [
        ("glibc", "2.41", "amd64", "x86_64-manylinux_2_40"),
        ("glibc", "2.31", "amd64", "x86_64-manylinux_2_31"),
        ("glibc", "2.30", "arm64", "aarch64-manylinux_2_28"),
        ("glibc", "2.12", "amd64", "x86_64-manylinux_2_17"),
        ("musl", "", "arm64", "aarch64-unknown-linux-musl"),
    ],
)
def test_the_platform_that_wheels_are_chosen_for(libc: str, version: str, architecture: str, platform: str) -> None:
    python = ImagePython(path="/p", version="3.12", libc=libc, libc_version=version)  # type: ignore[arg-type]
    assert platform_of(python, architecture) == platform


def test_every_package_is_locked_with_hashes_and_every_python_has_a_kernel() -> None:
    from packaging.requirements import Requirement

    text = REQUIREMENTS.read_text()
    blocks = re.split(r"\n(?=[a-z])", text.split("\n", 2)[2])
    assert len(blocks) > 40
    kernels = []
    for block in blocks:
        head, *hashes = block.strip().split(" \\\n")
        requirement = Requirement(head)
        assert hashes and all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", item) for item in hashes), head
        assert [item.operator for item in requirement.specifier] == ["=="], head
        if requirement.name == "ipykernel":
            kernels.append(requirement)
    for minor in range(probe.OLDEST[1], probe.NEWEST[1] + 1):
        environment = {"python_full_version": f"3.{minor}.1", "python_version": f"3.{minor}"}
        found = [item for item in kernels if item.marker is None or item.marker.evaluate(environment)]
        assert len(found) == 1, minor
