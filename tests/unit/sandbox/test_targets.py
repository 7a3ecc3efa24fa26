"""Mount targets in a root that may be hostile: every link is walked within the root."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import HostError
from jupyter_containers.sandbox.targets import View, find


def view(*layers: Path) -> View:
    return View({"/": layers, "/proc": ()})


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    upper.mkdir()
    lower.mkdir()
    return upper, lower


def test_links_are_walked_within_the_root(layers):
    _, lower = layers
    (lower / "etc").symlink_to("/data/etc")
    (lower / "data/etc").mkdir(parents=True)
    (lower / "data/etc/motd").symlink_to("../../../../srv/motd")
    assert view(*layers).resolve("/etc/motd") == "/srv/motd"
    assert view(*layers).resolve("/etc/new") == "/data/etc/new"


def test_a_loop_is_told(layers):
    (layers[0] / "a").symlink_to("b")
    (layers[0] / "b").symlink_to("a")
    with pytest.raises(HostError, match="loop"):
        view(*layers).resolve("/a/x")


def test_a_lower_link_behind_a_folder_is_not_followed_on_the_host(layers, tmp_path):
    upper, lower = layers
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").symlink_to("/of/the/host")
    (upper / "opt").mkdir()
    (lower / "opt").symlink_to(secret)
    assert find(layers, "opt/file") is None
    assert view(*layers).resolve("/opt/file") == "/opt/file"


def test_what_a_higher_layer_hides_is_not_there(layers):
    upper, lower = layers
    (lower / "opt/tool").mkdir(parents=True)
    (lower / "opt/tool/link").symlink_to("/elsewhere")
    assert view(*layers).resolve("/opt/tool/link") == "/elsewhere"
    (upper / "opt").write_text("a file")
    assert find(layers, "opt/tool/link") is None
