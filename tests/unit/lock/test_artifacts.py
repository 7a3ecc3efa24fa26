from __future__ import annotations

import pytest

from jupyter_containers.errors import LockError, ResolutionError, SpecError
from jupyter_containers.lock.artifacts import best_wheel, marker_environment, marker_holds, select_artifacts
from jupyter_containers.lock.model import Interpreter, PythonPackages
from jupyter_containers.lock.pylock import check_document, shape

TRIXIE = Interpreter(version="3.13", path="/usr/bin/python3", full_version="3.13.5", glibc="2.41")
BOOKWORM = Interpreter(version="3.11", path="/usr/bin/python3", full_version="3.11.2", glibc="2.36")


def entry(name: str, digit: str = "a"):
    return {"url": f"https://files.example.org/{name}", "hashes": {"sha256": digit * 64}, "size": 1}


def best(names, interpreter=TRIXIE, architecture="amd64"):
    found = best_wheel([entry(name) for name in names], interpreter, architecture)
    return found and found["url"].rpartition("/")[2]


def test_native_before_pure_and_own_version_before_abi3():
    pure, abi3 = "x-1-py3-none-any.whl", "x-1-cp38-abi3-manylinux_2_17_x86_64.whl"
    own = "x-1-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    assert best([pure, abi3, own]) == own
    assert best([pure, abi3]) == abi3
    assert best([pure]) == pure


def test_newest_manylinux_that_the_base_carries():
    names = [f"x-1-cp311-cp311-manylinux_2_{minor}_x86_64.whl" for minor in (17, 28, 36, 39)]
    assert best(names, BOOKWORM) == names[2]


@pytest.mark.parametrize(
    "name",
    [
        "x-1-cp312-cp312-manylinux_2_17_x86_64.whl",
        "x-1-cp313-cp313t-manylinux_2_17_x86_64.whl",
        "x-1-cp313-cp313-musllinux_1_2_x86_64.whl",
        "x-1-cp313-cp313-win_amd64.whl",
        "x-1-cp313-cp313-manylinux_2_17_aarch64.whl",
        "x-1-pp310-pypy310_pp73-manylinux_2_17_x86_64.whl",
        "x-1-cp313-cp313-manylinux_2_42_x86_64.whl",
        "not-a-wheel.whl",
        "x-1-cp314-abi3-manylinux_2_17_x86_64.whl",
    ],
)
def test_wheels_for_others(name):
    assert best([name]) is None


def test_architectures_and_build_numbers():
    assert best(["x-1-cp313-cp313-manylinux_2_17_aarch64.whl"], architecture="arm64") is not None
    assert best(["x-1-1-py3-none-any.whl", "x-1-2-py3-none-any.whl"]) == "x-1-2-py3-none-any.whl"


def test_markers_are_those_of_the_image():
    env = marker_environment(TRIXIE, "arm64")
    assert marker_holds("platform_machine == 'aarch64' and sys_platform == 'linux'", env)
    assert not marker_holds("python_full_version < '3.13.5'", env)
    assert marker_holds(None, env)
    assert marker_holds("'test' in dependency_groups", env, groups=frozenset({"test"}))
    assert not marker_holds("'test' in extras", env)
    with pytest.raises(LockError, match="marker"):
        marker_holds("python_version >", env)


def document(*packages):
    return {"lock-version": "1.0", "packages": list(packages)}


def test_selection():
    packages = PythonPackages(
        interpreter=TRIXIE,
        pylock=document(
            {
                "name": "b",
                "version": "1",
                "wheels": [
                    entry("b-1-cp313-cp313-manylinux_2_17_x86_64.whl"),
                    entry("b-1-cp313-cp313-manylinux_2_17_aarch64.whl"),
                ],
            },
            {"name": "a", "version": "1", "sdist": entry("a-1.tar.gz")},
            {"name": "local", "directory": {"path": "pkg"}},
            {
                "name": "file",
                "version": "2",
                "archive": {"path": "w/file-2-py3-none-any.whl", "hashes": {"sha256": "c" * 64}},
            },
            {"name": "repo", "vcs": {"type": "git", "url": "https://g/r", "commit-id": "abc", "subdirectory": "s"}},
            {
                "name": "mac",
                "version": "1",
                "marker": "sys_platform == 'darwin'",
                "wheels": [entry("mac-1-py3-none-any.whl")],
            },
        ),
    )
    found = select_artifacts(packages, architecture="amd64")
    assert [(item.name, item.kind) for item in found] == [
        ("a", "sdist"), ("b", "wheel"), ("file", "wheel"), ("local", "directory"), ("repo", "vcs"),
    ]  # fmt: skip
    by_name = {item.name: item for item in found}
    assert by_name["b"].filename == "b-1-cp313-cp313-manylinux_2_17_x86_64.whl" and by_name["b"].size == 1
    assert by_name["file"].url_or_path == "w/file-2-py3-none-any.whl" and by_name["file"].sha256 == "c" * 64
    assert by_name["repo"].url_or_path == "git+https://g/r@abc#subdirectory=s"
    assert {item.name: item.filename for item in select_artifacts(packages, architecture="arm64")}["b"].endswith(
        "aarch64.whl"
    )


def test_nothing_that_fits_is_told():
    packages = PythonPackages(
        interpreter=TRIXIE,
        pylock=document({"name": "w", "version": "1", "wheels": [entry("w-1-cp313-cp313-win_amd64.whl")]}),
    )
    with pytest.raises(
        LockError, match=r"no file of w 1 for CPython 3\.13 on amd64 \(it has w-1-cp313-cp313-win_amd64\.whl\)"
    ):
        select_artifacts(packages, architecture="amd64")


def shaped(tmp_path, *packages, **options):
    return shape(document(*packages), TRIXIE, folder=tmp_path, start=tmp_path, architectures=("amd64",), **options)[
        "packages"
    ]


def test_shape_keeps_one_file_per_machine(tmp_path):
    names = [
        f"b-1-cp{python}-cp{python}-{platform}.whl"
        for python in (312, 313)
        for platform in (
            "manylinux_2_17_x86_64",
            "manylinux_2_28_x86_64",
            "manylinux_2_17_aarch64",
            "win_amd64",
            "macosx_11_0_arm64",
        )
    ]
    (kept,) = shaped(
        tmp_path,
        {
            "name": "B",
            "version": "1",
            "marker": "sys_platform == 'linux'",
            "wheels": [{**entry(name), "upload-time": 1} for name in names],
        },
    )
    assert [wheel["url"].rpartition("/")[2] for wheel in kept["wheels"]] == [
        "b-1-cp313-cp313-manylinux_2_17_aarch64.whl",
        "b-1-cp313-cp313-manylinux_2_28_x86_64.whl",
    ]
    assert kept["name"] == "b" and "marker" not in kept and "upload-time" not in kept["wheels"][0]


def test_shape_keeps_markers_that_tell_machines_apart(tmp_path):
    wheels = [entry("b-1-py3-none-any.whl")]
    kept = shaped(
        tmp_path,
        {"name": "b", "version": "1", "marker": "platform_machine == 'x86_64'", "wheels": wheels},
        {"name": "c", "version": "1", "marker": "os_name == 'nt'", "wheels": wheels},
    )
    assert [(item["name"], item.get("marker")) for item in kept] == [("b", "platform_machine == 'x86_64'")]


def test_shape_tells_what_has_no_wheel(tmp_path):
    with pytest.raises(
        ResolutionError, match=r"b 1 has no wheel for CPython 3\.13 on Linux amd64, glibc 2\.41 \(it has b-1-cp312"
    ):
        shaped(tmp_path, {"name": "b", "version": "1", "wheels": [entry("b-1-cp312-cp312-manylinux_2_17_x86_64.whl")]})


def test_hashes_of_the_spec_are_enforced(tmp_path):
    package = {
        "name": "b",
        "version": "1",
        "wheels": [entry("b-1-py3-none-any.whl", "a"), entry("b-1-cp313-cp313-manylinux_2_17_x86_64.whl", "b")],
    }
    (kept,) = shaped(tmp_path, package, hashes={"b": frozenset({"a" * 64})})
    assert [wheel["hashes"]["sha256"] for wheel in kept["wheels"]] == ["a" * 64]
    with pytest.raises(ResolutionError, match="no file of b 1 that fits has one of the hashes"):
        shaped(tmp_path, package, hashes={"b": frozenset({"c" * 64})})


def test_paths_are_relative_to_the_folder_and_stay_in_it(tmp_path):
    (kept,) = shape(
        document({"name": "p", "directory": {"path": "../pkg", "editable": True}}),
        TRIXIE,
        folder=tmp_path,
        start=tmp_path / "sub",
        architectures=("amd64",),
    )["packages"]
    assert kept["directory"] == {"path": "pkg"}
    with pytest.raises(ResolutionError, match="outside of the spec's folder"):
        shaped(tmp_path, {"name": "p", "directory": {"path": "../other"}})


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"lock-version": "2.0"}, "lock-version"),
        ({"requires-python": "<3.12"}, "wants Python <3.12, the base has 3.13.5"),
        (
            {"packages": [{"name": "x", "wheels": [{"url": "https://a/x.whl", "hashes": {"md5": "1"}}]}]},
            "x.whl has no sha256",
        ),
        (
            {"packages": [{"name": "x", "wheels": [{"url": "file:///x.whl", "hashes": {"sha256": "a" * 64}}]}]},
            "not an http",
        ),
        ({"packages": [{"name": "x"}]}, "no file, folder or repository"),
        ({"packages": [{"name": "x", "vcs": {"type": "hg", "commit-id": "1"}}]}, "only from git"),
        ({"packages": {}}, "no list of packages"),
        ({"packages": [{}]}, "without a name"),
    ],
)
def test_foreign_locks_are_checked(tmp_path, changes, cause):
    with pytest.raises(SpecError) as caught:
        check_document({"lock-version": "1.0", "packages": [], **changes}, tmp_path / "pylock.toml", TRIXIE)
    assert cause in str(caught.value) and "pylock.toml" in str(caught.value)
