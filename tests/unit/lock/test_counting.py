"""Packages of a lock, counted from its lines: as many as its parsed form has."""

from __future__ import annotations

from jupyter_containers.lock.counting import PackageCounts, count_packages
from jupyter_containers.lock.file import read_lock, write_lock
from jupyter_containers.lock.model import Base, DebianPackage, Interpreter, Lock, PythonPackages


def deb(name, architecture):
    return DebianPackage(
        name=name, version="1", architecture=architecture, filename=f"pool/{name}.deb", size=1, sha256="0" * 64
    )


def test_as_many_as_the_lock_has(tmp_path):
    wheel = {"url": "https://example.org/a-1-py3-none-any.whl", "size": 1, "hashes": {"sha256": "0" * 64}}
    packages = [{"name": name, "version": "1", "wheels": [wheel]} for name in ("a", "b", "c")]
    lock = Lock(
        spec_digest="sha256:" + "0" * 64,
        base=Base(
            kind="debian", source="debian:trixie", suite="trixie", archive="http://deb.debian.org/debian",
            packages={"amd64": tuple(deb(f"p{n}", "amd64") for n in range(5)),
                      "arm64": tuple(deb(f"p{n}", "arm64") for n in range(4))},
        ),
        apt={"amd64": (deb("qq", "amd64"),), "arm64": (deb("qq", "arm64"), deb("rr", "arm64"))},
        python=PythonPackages(
            interpreter=Interpreter(version="3.13", path="/usr/bin/python3"),
            pylock={"lock-version": "1.0", "created-by": "x", "packages": packages},
        ),
    )  # fmt: skip
    file = tmp_path / "jupyter-container.lock"
    write_lock(file, lock)
    assert read_lock(file) == lock
    assert count_packages(file, "amd64") == PackageCounts(6, 3)
    assert count_packages(file, "arm64") == PackageCounts(6, 3)
    assert count_packages(file, "riscv64") == PackageCounts(0, 3)


def test_no_lock(tmp_path):
    assert count_packages(tmp_path / "nothing", "amd64") is None
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert count_packages(tmp_path / "bytes", "amd64") is None
