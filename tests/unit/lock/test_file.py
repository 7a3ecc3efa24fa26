from __future__ import annotations

import contextlib
import os
import tomllib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.errors import LockError
from jupyter_containers.lock.file import dump_lock, read_lock, write_lock
from jupyter_containers.lock.filetext import dump
from jupyter_containers.lock.model import ArtifactHash, Base, DebianPackage, Interpreter, Lock, PythonPackages

_SHA = st.text("0123456789abcdef", min_size=64, max_size=64)
_DEBIAN_NAME = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,12}", fullmatch=True)
_VERSION = st.from_regex(r"([0-9]:)?[0-9][A-Za-z0-9.+~]{0,8}(-[0-9a-z+~.]{1,4})?", fullmatch=True)
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)


def _packages(architecture: str):
    one = st.builds(
        DebianPackage, name=_DEBIAN_NAME, version=_VERSION, architecture=st.sampled_from([architecture, "all"]),
        filename=_DEBIAN_NAME.map(lambda name: f"pool/main/{name}.deb"), size=st.integers(1, 1 << 40), sha256=_SHA,
        archive=st.sampled_from(["", "https://security.example.org/debian-security"]),
    )  # fmt: skip
    return st.lists(one, min_size=1, max_size=4, unique_by=lambda item: item.name).map(
        lambda found: tuple(sorted(found, key=lambda item: item.name))
    )


_FILE = st.builds(
    lambda name, sha, size: {"url": f"https://files.example.org/{name}.whl", "size": size, "hashes": {"sha256": sha}},
    st.from_regex(r"[a-z]{1,8}", fullmatch=True), _SHA, st.integers(0, 1 << 40),
)  # fmt: skip
_PYTHON = st.builds(
    lambda name, marker, files: {"name": name, **({"marker": marker} if marker else {}), "wheels": files},
    st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True), _TEXT, st.lists(_FILE, min_size=1, max_size=3),
)  # fmt: skip
_PYLOCK = st.builds(
    lambda packages: {"lock-version": "1.0", "environments": ["x"], **({"packages": packages} if packages else {})},
    st.lists(_PYTHON, max_size=3),
)  # fmt: skip
LOCKS = st.builds(
    Lock,
    spec_digest=_SHA.map(lambda digits: f"sha256:{digits}"),
    base=st.builds(
        Base, kind=st.just("debian"), source=_TEXT, suite=_TEXT, archive=_TEXT,
        packages=st.builds(lambda one, two: {"amd64": one, "arm64": two}, _packages("amd64"), _packages("arm64")),
    ),
    apt=st.one_of(st.just({}), _packages("amd64").map(lambda found: {"amd64": found})),
    python=st.one_of(
        st.none(),
        st.builds(
            PythonPackages,
            interpreter=st.builds(Interpreter, version=st.just("3.13"), path=st.just("/python3"), full_version=_TEXT),
            pylock=_PYLOCK,
        ),
    ),
    inputs=st.lists(st.builds(ArtifactHash, path=_TEXT, sha256=_SHA), max_size=2).map(tuple),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(LOCKS)
def test_round_trip(tmp_path_factory, lock):
    file = tmp_path_factory.mktemp("lock") / "jupyter-container.lock"
    assert write_lock(file, lock)
    assert read_lock(file) == lock
    assert dump_lock(read_lock(file)) == file.read_text("utf-8")


_VALUE = st.recursive(
    st.one_of(st.booleans(), st.integers(-(1 << 62), 1 << 62), st.floats(allow_nan=False, allow_infinity=False), _TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXT, inner, max_size=3)),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(_TEXT, _VALUE, max_size=4))
def test_what_is_written_is_toml_of_the_same_value(document):
    assert tomllib.loads(dump(document)) == document


def package(**changes):
    values = {
        "name": "alpha", "version": "1", "architecture": "amd64", "size": 7,
        "filename": "pool/main/a/alpha_1_amd64.deb", "sha256": "a" * 64,
    }  # fmt: skip
    return DebianPackage(**{**values, **changes})


def lock(*packages, **changes):
    base = Base(
        kind="debian",
        source="debian:trixie",
        suite="trixie",
        archive="http://a/debian",
        packages={"amd64": packages or (package(),)},
    )
    return Lock(**{"spec_digest": "sha256:" + "0" * 64, "base": base, **changes})


def python(*packages):
    interpreter = Interpreter(version="3.13", path="/usr/bin/python3")
    return PythonPackages(interpreter=interpreter, pylock={"lock-version": "1.0", "packages": list(packages)})


def test_one_line_per_deb_and_wheel(tmp_path):
    wheels = [{"url": f"https://f/{name}.whl", "hashes": {"sha256": "b" * 64}} for name in "ab"]
    text = dump_lock(
        lock(package(), package(name="beta"), python=python({"name": "numpy", "version": "2", "wheels": wheels}))
    )
    assert sum('name = "alpha"' in line and "sha256" in line for line in text.splitlines()) == 1
    assert sum("https://f/" in line for line in text.splitlines()) == 2
    assert '[[python.packages]]\nname = "numpy"' in text
    assert tomllib.loads(text)["python"]["lock-version"] == "1.0"


def test_written_only_when_changed_and_atomically(tmp_path):
    file = tmp_path / "jupyter-container.lock"
    assert write_lock(file, lock()) is True
    before = file.stat()
    assert write_lock(file, lock()) is False
    assert file.stat().st_mtime_ns == before.st_mtime_ns and file.stat().st_ino == before.st_ino
    file.chmod(0o640)
    assert write_lock(file, lock(package(version="2"))) is True
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == [file.name]


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(LockError, match="cannot write"):
        write_lock(tmp_path / "none" / "x.lock", lock())


def test_missing_lock_says_how_to_make_one(tmp_path):
    with pytest.raises(LockError, match="there is no") as caught:
        read_lock(tmp_path / "jupyter-container.lock")
    assert "jupyter containers lock" in caught.value.hint


def refused(tmp_path, text):
    file = tmp_path / "jupyter-container.lock"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LockError) as caught:
        read_lock(file)
    assert str(file) in str(caught.value) and "jupyter containers lock" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"sha256": "a" * 63}, "alpha: its sha256 is not 64 hex digits"),
        ({"sha256": "G" * 64}, "its sha256"),
        ({"filename": "../../etc/passwd.deb"}, "no path in an archive"),
        ({"filename": "/pool/alpha.deb"}, "no path in an archive"),
        ({"filename": "pool/alpha.sh"}, "no path in an archive"),
        ({"size": 0}, "0 bytes"),
        ({"architecture": "arm64"}, "is for arm64"),
        ({"name": "../alpha"}, "no package name"),
        ({"version": "1 2"}, "no version"),
        ({"archive": "file:///etc"}, "no http"),
    ],
)
def test_values_that_cannot_be_right(tmp_path, change, cause):
    error = refused(tmp_path, dump_lock(lock(package(**change))))
    assert cause in str(error)
    assert error.problems[0].line == next(
        number
        for number, line in enumerate((tmp_path / "jupyter-container.lock").read_text().splitlines(), 1)
        if "sha256 =" in line
    )


def test_all_problems_at_once(tmp_path):
    error = refused(tmp_path, dump_lock(lock(package(size=0), package(name="beta", sha256="x"), package(name="beta"))))
    assert len(error.problems) == 3 and "beta is there twice" in str(error)


@pytest.mark.parametrize(
    ("entry", "cause"),
    [
        ({"name": "x", "version": "1"}, "x has no file"),
        ({"name": "x", "wheels": [{"url": "https://a/x.whl"}]}, "without a sha256"),
        ({"name": "x", "wheels": [{"url": "file:///x.whl", "hashes": {"sha256": "a" * 64}}]}, "no http"),
        ({"name": "x", "archive": {"path": "../x.whl", "hashes": {"sha256": "a" * 64}}}, "inside of the spec's folder"),
        ({"name": "x", "directory": {"path": "/etc"}}, "inside of the spec's folder"),
        ({"name": "x", "vcs": {"type": "git", "url": "https://a/x"}}, "commit-id"),
        ({"version": "1"}, "without a name"),
    ],
)
def test_python_packages_that_cannot_be_right(tmp_path, entry, cause):
    assert cause in str(refused(tmp_path, dump_lock(lock(python=python(entry)))))


def test_syntax_error_has_its_line(tmp_path):
    error = refused(tmp_path, dump_lock(lock()) + "\n<<<<<<< HEAD\n")
    assert error.problems[0].line is not None and "merge conflict" in str(error)


def test_type_error_has_its_key_and_line(tmp_path):
    text = dump_lock(lock()).replace("size = 7", 'size = "7"')
    error = refused(tmp_path, text)
    assert "has to be a whole number, and is a text" in str(error) and "base.packages" in error.problems[0].key
    assert text.splitlines()[error.problems[0].line - 1].startswith(("[base.packages]", "amd64"))


def test_unknown_key_and_unknown_version(tmp_path):
    assert "unknown field `foo`" in str(refused(tmp_path, dump_lock(lock()).replace("[base]", "[base]\nfoo = 1")))
    error = refused(tmp_path, dump_lock(lock()).replace("version = 1", "version = 99", 1))
    assert "Update jupyter_containers" in str(error) and error.problems[0].line == 4
    assert "not known" in str(refused(tmp_path, dump_lock(lock()).replace("version = 1\n", "", 1)))


def test_bytes_that_are_no_text(tmp_path):
    assert "UTF-8" in str(refused(tmp_path, b"\xff\xfe\x00"))


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_damage_is_told_or_harmless(tmp_path_factory, data):
    """Whatever is done to the text, it is read as a lock or refused as one: no other exception."""
    text = dump_lock(
        lock(
            python=python(
                {"name": "x", "version": "1", "wheels": [{"url": "https://a/x.whl", "hashes": {"sha256": "a" * 64}}]}
            )
        )
    )
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(_TEXT) + text[place + data.draw(st.integers(0, 30)) :]
    file = tmp_path_factory.mktemp("lock") / "x.lock"
    file.write_text(changed, "utf-8")
    with contextlib.suppress(LockError):
        assert isinstance(msgspec.to_builtins(read_lock(file)), dict)
