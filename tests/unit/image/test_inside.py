"""Looking into a stack of layers from the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.errors import NotFoundError, UntrustedContentError
from jupyter_containers.image.inside import (
    exists_in_root,
    open_in_root,
    read_bytes_in_root,
    read_text_in_root,
    resolve_in_root,
)
from jupyter_containers.image.whiteout import set_opaque


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    """``low`` under ``middle`` under ``top``."""
    low, middle, top = paths = [tmp_path / name for name in ("low", "middle", "top")]
    for path in paths:
        path.mkdir()
    (tmp_path / "host").write_text("of the host")
    for path, name, text in (
        (low, "etc/passwd", "low"), (low, "etc/group", "low"), (low, "usr/bin/python3.11", "python"),
        (low, "opt/a/file", "hidden"), (low, "var/log/old", "old"), (low, "gone/x", "x"),
        (middle, "etc/passwd", "middle"), (middle, "opt/a/new", "new"), (middle, "var", "a file now"),
        (top, "etc/motd", "top"),
    ):  # fmt: skip
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    set_opaque(os.fsencode(middle / "opt/a"))
    os.mknod(top / "gone", 0o020000, 0)
    for path, name, target in (
        (low, "bin", "usr/bin"), (low, "usr/bin/python3", "python3.11"), (low, "usr/bin/python", "/bin/python3"),
        (low, "out", "../../../../host"), (low, "abs", str(tmp_path / "host")), (top, "loop", "loop"),
        (top, "etc/up", "../../../../etc/passwd"),
    ):  # fmt: skip
        (path / name).symlink_to(target)
    os.mkfifo(top / "pipe")
    return paths


def test_files_are_found_as_the_overlay_shows_them(layers: list[Path]) -> None:
    for path, text in (
        ("/etc/passwd", "middle"), ("etc/group", "low"), ("/etc//./motd", "top"), ("/var", "a file now"),
        ("/opt/a/new", "new"), ("/bin/python", "python"), ("/usr/../etc/up", "middle"),
    ):  # fmt: skip
        assert read_text_in_root(layers, path) == text
    assert resolve_in_root(layers, "/bin/python") == "/usr/bin/python3.11"
    assert resolve_in_root(layers, "/usr/bin/..") == "/usr"
    assert resolve_in_root(layers, "/") == "/"


@pytest.mark.parametrize(
    "path", ["/gone/x", "/gone", "/opt/a/file", "/var/log/old", "/nothing", "/etc/passwd/x", "/out", "/abs"]
)
def test_what_is_hidden_or_outside_is_not_there(layers: list[Path], path: str) -> None:
    assert not exists_in_root(layers, path)
    with pytest.raises(NotFoundError):
        read_text_in_root(layers, path)


@pytest.mark.parametrize("path", ["/pipe", "/etc", "/loop", "/loop/x"])
def test_only_regular_files_are_opened(layers: list[Path], path: str) -> None:
    with pytest.raises(UntrustedContentError):
        read_text_in_root(layers, path)


def test_reads_are_bounded(layers: list[Path]) -> None:
    assert read_bytes_in_root(layers, "/etc/passwd", 6) == b"middle"
    with pytest.raises(UntrustedContentError, match="more than 5 bytes"):
        read_bytes_in_root(layers, "/etc/passwd", 5)


def test_descriptors_are_closed(layers: list[Path]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with open_in_root(layers, "/usr/bin/python") as handle:
            os.read(handle, 1)
        exists_in_root(layers, "/loop")
    assert len(os.listdir("/proc/self/fd")) == before


def test_endless_paths_end(layers: list[Path]) -> None:
    (layers[2] / "d").mkdir()
    (layers[2] / "d/again").symlink_to(".")
    with pytest.raises(UntrustedContentError, match="too many"):
        resolve_in_root(layers, "/d/" + "again/" * 100)
    assert exists_in_root(layers, "/d/" + "../d/" * 100)
    with pytest.raises(UntrustedContentError, match="too many folders"):
        resolve_in_root(layers, "/d/" + "../d/" * 1000)
