"""A stack of layers, looked at from the host as an overlay shows it: links in a lower layer lead nowhere."""

from __future__ import annotations

import os
import stat

import pytest

from jupyter_containers.build.layers import is_folder, make_parents
from jupyter_containers.build.tree import Tree
from jupyter_containers.image.whiteout import set_opaque


@pytest.fixture
def layers(tmp_path):
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    lower.mkdir()
    upper.mkdir()
    return lower, upper


def test_a_link_below_a_folder_does_not_count(layers):
    lower, upper = layers
    (lower / "real/sub").mkdir(parents=True)
    (lower / "opt").symlink_to("real")
    (upper / "opt").mkdir()
    assert not is_folder(layers, "/opt/sub")
    assert is_folder(layers, "/real/sub")


def test_what_a_higher_layer_hides_is_no_folder(layers):
    lower, upper = layers
    (lower / "opt/sub").mkdir(parents=True)
    (lower / "srv/sub").mkdir(parents=True)
    assert is_folder(layers, "/opt/sub")
    (upper / "opt").mkdir()
    set_opaque(os.fsencode(upper / "opt"))
    (upper / "srv").write_text("a file")
    assert not is_folder(layers, "/opt/sub")
    assert not is_folder(layers, "/srv/sub")


def test_parents_have_the_modes_that_an_overlay_shows(layers, tmp_path):
    lower, upper = layers
    (lower / "real").mkdir()
    (lower / "real/tmp").mkdir()
    (lower / "real/tmp").chmod(0o1777)
    (lower / "var").symlink_to("real")
    (upper / "var").mkdir(mode=0o750)
    new = tmp_path / "new"
    new.mkdir()
    with Tree(new) as tree:
        make_parents(tree, layers, "var/tmp/x")
        make_parents(tree, layers, "real/tmp/x")
    modes = {name: stat.S_IMODE((new / name).stat().st_mode) for name in ("var", "var/tmp", "real/tmp")}
    assert modes == {"var": 0o750, "var/tmp": 0o755, "real/tmp": 0o1777}
