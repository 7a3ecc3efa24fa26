"""Wheels that want more than to be installed. uv unpacks them on the host, so nothing of them may get elsewhere."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import sys
import zipfile
from pathlib import Path

import pytest

from jupyter_containers.build.downloads import Downloads
from jupyter_containers.build.report import Reporter
from jupyter_containers.build.wheels import Target, Wheel, _install, finish
from jupyter_containers.errors import BuildError, ContainersError, HashMismatchError, UntrustedContentError
from jupyter_containers.lock.fetch import Fetcher
from jupyter_containers.lock.model import Interpreter
from jupyter_containers.lock.pip import Artifact
from jupyter_containers.lock.settings import Settings

INFO = "evil-1.dist-info"
UP = "../" * 12
Files = dict[str, bytes | str]


def write_wheel(
    folder: Path, files: Files, *, links: dict[str, str] | None = None, record: str = "", entry_points: str = ""
) -> Path:
    file = folder / "evil-1-py3-none-any.whl"
    own: Files = {
        "evil.py": "x = 1\n",
        f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
        f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if entry_points:
        own[f"{INFO}/entry_points.txt"] = entry_points
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**own, **files}.items():
            archive.writestr(name, content)
        for name, target in (links or {}).items():
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
        lines = [f"{name},," for name in (*own, *files, *(links or {}))]
        archive.writestr(f"{INFO}/RECORD", "\n".join([*lines, record, f"{INFO}/RECORD,,"]))
    return file


@pytest.fixture
def install(tmp_path: Path):
    """``install(file)`` → the tree of the wheel. The folder around it has what must stay as it is."""
    around = tmp_path / "host"
    around.mkdir()
    (around / "script").write_text(f"#!{sys.executable}\nprint('of the host')\n")
    before = sorted(path.name for path in Path("/tmp").iterdir())

    def run(file: Path) -> Path:
        staging = tmp_path / "store/staging"
        staging.mkdir(parents=True)
        target = Target(Interpreter(version="3.13", path="/usr/bin/python3"), "amd64", (), staging)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        _install(Wheel("evil", "1", file.name, digest, file), staging / "tree", staging, target, Reporter(print))
        return staging / "tree"

    yield run
    assert sorted(path.name for path in around.iterdir()) == ["script"]
    assert "of the host" in (around / "script").read_text()
    assert (around / "script").read_text().startswith(f"#!{sys.executable}\n")
    new = {path.name for path in Path("/tmp").iterdir()} - set(before)
    assert not any("evil" in name for name in new)


@pytest.mark.parametrize(
    "files",
    [
        {f"{UP}tmp/evil-was-here": "x"},
        {"evil/../../../../evil-was-here": "x"},
        {"/tmp/evil-was-here": "x"},
        {"..\\..\\evil-was-here": "x"},
        {f"evil-1.data/data/{UP}tmp/evil-was-here": "x"},
        {f"evil-1.data/scripts/{UP}tmp/evil-was-here": "#!python\n"},
        {f"evil-1.data/headers/{UP}tmp/evil-was-here.h": "x"},
        {"evil-1.data/elsewhere/evil-was-here": "x"},
        {"a/" * 300 + "evil": "x"},
    ],
)  # fmt: skip
def test_paths_that_lead_out_are_refused(tmp_path: Path, install, files: Files):
    with pytest.raises(UntrustedContentError, match=r"leads out|no installer knows|too long"):
        install(write_wheel(tmp_path, files))


@pytest.mark.parametrize("name", ["bin", "lib64", "evil", "evil-1.data/data/bin", "evil-1.data/scripts/evil"])
def test_links_are_refused(tmp_path: Path, install, name: str):
    with pytest.raises(UntrustedContentError, match="neither a file nor a folder"):
        install(write_wheel(tmp_path, {}, links={name: str(tmp_path / "host")}))


def test_a_link_that_an_installer_has_made_is_not_followed(tmp_path: Path, install):
    tree = install(write_wheel(tmp_path, {}))
    (tree / "bin").symlink_to(tmp_path / "host")
    with pytest.raises(UntrustedContentError, match="has a link, bin"):
        finish(tree, Interpreter(version="3.13", path="/usr/bin/python3"))


@pytest.mark.parametrize("script", [f"{UP}tmp/evil-was-here", "/tmp/evil-was-here", "..", "a/b"])
def test_scripts_that_lead_out_are_refused(tmp_path: Path, install, script: str):
    with pytest.raises(UntrustedContentError, match="a script called"):
        install(write_wheel(tmp_path, {}, entry_points=f"[console_scripts]\n{script} = evil:x\n"))


@pytest.mark.parametrize("script", ["python", "python3"])
def test_the_interpreter_is_not_a_wheel_s(tmp_path: Path, install, script: str):
    with pytest.raises(BuildError, match="reserved name"):
        install(write_wheel(tmp_path, {}, entry_points=f"[console_scripts]\n{script} = evil:x\n"))


def test_a_record_that_lies_names_nothing_of_others(tmp_path: Path, install):
    lies = f"{UP}etc/passwd,sha256=x,1\n/etc/passwd,,\nevil.py,sha256=AAAA,999999\n../../../bin/evil,,"
    tree = install(write_wheel(tmp_path, {}, record=lies))
    (record,) = tree.rglob("RECORD")
    paths = [line.split(",")[0] for line in record.read_text().splitlines()]
    packages = tree / "lib/python3.13/site-packages"
    assert all(Path(os.path.normpath(packages / path)).is_relative_to(tree) for path in paths)
    assert "evil.py" in paths


def test_no_code_of_it_runs(tmp_path: Path, install):
    run = "import pathlib; pathlib.Path('/tmp/evil-was-here').touch()\n"
    install(write_wheel(tmp_path, {"evil.pth": run, "sitecustomize.py": run, "evil.py": run}))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, install):
    with pytest.raises(UntrustedContentError, match="unpacks from"):
        install(write_wheel(tmp_path, {"evil/data": b"\0" * (300 << 20)}))
    assert not (tmp_path / "store/staging/tree").exists()


def test_a_size_that_is_a_lie_leaves_nothing(tmp_path: Path, install):
    size = 20 << 20
    file = write_wheel(tmp_path, {"evil/data": b"\0" * size})
    file.write_bytes(file.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 10)))
    with pytest.raises(BuildError, match="uncompressed size"):
        install(file)
    assert not (tmp_path / "store/staging/tree").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\0" * 1000])
def test_what_is_no_archive_is_told(tmp_path: Path, install, content: bytes):
    file = tmp_path / "evil-1-py3-none-any.whl"
    file.write_bytes(content)
    with pytest.raises(UntrustedContentError, match="is not a wheel"):
        install(file)


class TestInTheSpecSFolder:
    """A kernel can write there while its wheel is read; what is prepared from it is other environments' as well."""

    def take(self, tmp_path: Path, file: Path, sha256: str) -> Path:
        item = Artifact("evil", "1", "wheel", file.name, file.name, sha256)
        with Downloads(Fetcher(tmp_path / "cache", Settings()), file.parent) as downloads:
            return downloads._fetch_artifacts([item], lambda what, done, total: None)[item]

    def test_it_stays_what_was_hashed(self, tmp_path: Path):
        file = write_wheel(tmp_path, {})
        good = file.read_bytes()
        taken = self.take(tmp_path, file, hashlib.sha256(good).hexdigest())
        with file.open("r+b") as stream:
            stream.write(b"evil")
        assert taken.read_bytes() == good
        assert taken.stat().st_ino != file.stat().st_ino

    def test_another_content_is_refused_and_not_kept(self, tmp_path: Path):
        with pytest.raises(HashMismatchError, match="is not what was locked"):
            self.take(tmp_path, write_wheel(tmp_path, {}), "0" * 64)
        assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]

    def test_a_link_that_leads_out_and_a_pipe_are_refused(self, tmp_path: Path):
        (tmp_path / "folder").mkdir()
        for name in ("link", "pipe"):
            file = tmp_path / "folder" / f"{name}.whl"
            if name == "link":
                file.symlink_to("/etc/passwd")
            else:
                os.mkfifo(file)
            with pytest.raises(ContainersError, match="cannot read"):
                self.take(tmp_path, file, "0" * 64)
