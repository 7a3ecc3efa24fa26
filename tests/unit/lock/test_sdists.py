from __future__ import annotations

import tarfile
import zipfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from jupyter_containers.errors import ArchiveError
from jupyter_containers.lock.sdists import read_sdist


@pytest.fixture
def read(tmp_path):
    def run(ending=".tar.gz", **files: str):
        name = f"pkg-1.0{ending}"
        file = tmp_path / name
        if ending == ".zip":
            with zipfile.ZipFile(file, "w") as archive:
                for path, text in files.items():
                    archive.writestr(f"pkg-1.0/{path}", text)
        else:
            with tarfile.open(file, "w:gz") as tar:
                for path, text in files.items():
                    member = tarfile.TarInfo(f"pkg-1.0/{path}")
                    member.size = len(text.encode())
                    tar.addfile(member, BytesIO(text.encode()))
        return read_sdist(file, name)

    return run


def core(version: str, *lines: str) -> str:
    return "\n".join(
        [f"Metadata-Version: {version}", "Name: pkg", "Version: 1.0", *lines, "", "Requires-Dist: not-a-header"]
    )


@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
def test_core_metadata_that_holds_for_every_build(read, ending):
    found = read(
        ending,
        **{"PKG-INFO": core("2.2", "Requires-Dist: a>=1", "Requires-Dist: b; extra == 'x'", "Provides-Extra: x")},
    )
    assert (found.requires, found.extras, found.told_by) == (("a>=1", "b; extra == 'x'"), ("x",), "PKG-INFO")


def test_project_table_unless_it_is_dynamic(read):
    table = (
        "[project]\nname = 'pkg'\ndependencies = ['a']\n"
        "[project.optional-dependencies]\nx = ['b; os_name == \"posix\"']\n"
    )
    found = read(**{"pyproject.toml": table, "PKG-INFO": core("2.1", "Requires-Dist: c")})
    assert found.requires == ("a", "b ; (os_name == \"posix\") and extra == 'x'") and found.told_by == "pyproject.toml"
    dynamic = table.replace("name = 'pkg'", "name = 'pkg'\ndynamic = ['dependencies']").replace(
        "dependencies = ['a']\n", "", 1
    )
    assert read(**{"pyproject.toml": dynamic, "PKG-INFO": core("2.1", "Requires-Dist: c")}).requires == ("c",)


def test_setuptools_list_before_core_metadata_without_a_promise(read):
    files = {
        "PKG-INFO": core("1.1"),
        "src/pkg.egg-info/requires.txt": "a\n\n[:python_version<'3']\nb\n[x]\nc>=1\n[y:os_name=='nt']\nd\n",
    }
    found = read(**files)
    assert found.requires == (
        "a", "b ; (python_version<'3')", "c>=1 ; extra == 'x'", "d ; extra == 'y' and (os_name=='nt')",
    )  # fmt: skip
    assert found.extras == ("x", "y")
    assert all(Requirement(item) for item in found.requires)
    files["PKG-INFO"] = core("2.2", "Dynamic: Requires-Dist")
    assert read(**files).requires == found.requires


def test_no_list_beside_metadata_means_nothing_is_needed(read):
    assert read(**{"pkg.egg-info/PKG-INFO": core("1.0")}).requires == ()
    assert read(**{"PKG-INFO": core("1.0")}).requires == ()


def test_a_list_that_is_called_dynamic_and_empty_says_nothing(read):
    assert read(**{"PKG-INFO": core("2.2", "Dynamic: Requires-Dist")}) is None
    listed = core("2.2", "Dynamic: Requires-Dist", "Requires-Dist: a")
    assert read(**{"PKG-INFO": listed}).requires == ("a",)


def test_archive_that_tells_nothing(read):
    assert read(**{"setup.py": "import os"}) is None
    assert read(**{"deep/down/in/it/PKG-INFO": core("2.2")}) is None


def test_what_is_no_archive(tmp_path):
    file = tmp_path / "x.tar.gz"
    file.write_bytes(b"no archive")
    with pytest.raises(ArchiveError, match=r"x\.tar\.gz is no source archive"):
        read_sdist(file, "x.tar.gz")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("sdist") / "x"
    file.write_bytes(content)
    for name in ("x.tar.gz", "x.zip"):
        try:
            read_sdist(file, name)
        except ArchiveError as error:
            assert name in str(error)
