"""What makes one lock of another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.lock.compare import LockedPackage, Moved, compare
from jupyter_containers.lock.model import Base, DebianPackage, Interpreter, Lock, PythonPackages


def lock(base, apt, python):
    def debian(packages):
        return tuple(
            DebianPackage(name=name, version=version, architecture="amd64", filename="f", size=1, sha256="0")
            for name, version in packages.items()
        )

    packages = [{"name": name, **({"version": version} if version else {})} for name, version in python.items()]
    return Lock(
        spec_digest="x",
        base=Base(kind="debian", source="debian:trixie", packages={"amd64": debian(base), "arm64": ()}),
        apt={"amd64": debian(apt)},
        python=PythonPackages(
            interpreter=Interpreter(version="3.13", path="/usr/bin/python3"), pylock={"packages": packages}
        ),
    )


def test_kinds_and_order():
    before = lock({"libc6": "1", "bash": "5"}, {"git": "2"}, {"numpy": "2.0", "six": "1", "mine": ""})
    after = lock({"libc6": "2", "bash": "5"}, {"curl": "8"}, {"numpy": "2.1", "zarr": "3", "mine": ""})
    found = compare(before, after, "amd64")
    assert found.added == (
        LockedPackage(kind="debian", name="curl", version="8"),
        LockedPackage(kind="python", name="zarr", version="3"),
    )
    assert [item.name for item in found.removed] == ["git", "six"]
    assert found.changed == (
        Moved(kind="debian", name="libc6", before="1", after="2"),
        Moved(kind="python", name="numpy", before="2.0", after="2.1"),
    )


PACKAGES = st.dictionaries(st.sampled_from("abcde"), st.sampled_from("123"))


@given(PACKAGES, PACKAGES)
def test_the_changes_make_one_of_the_other(old, new):
    found = compare(lock({}, {}, old), lock({}, {}, new), "amd64")
    made = dict(old)
    for item in found.removed:
        assert made.pop(item.name) == item.version
    made |= {item.name: item.version for item in found.added}
    for item in found.changed:
        assert made[item.name] == item.before != item.after
        made[item.name] = item.after
    assert made == new
