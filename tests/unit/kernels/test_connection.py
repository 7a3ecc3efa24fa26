from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from jupyter_containers.errors import HostError
from jupyter_containers.kernels.connection import CHANNELS, ConnectionFolder
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.strays import name_folder


def test_file_and_folder_are_private(paths):
    folder = ConnectionFolder.choose(paths)
    folder.make()
    folder.write({"key": b"abc", "ip": folder.address, **folder.ports})
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.file.stat().st_mode) == 0o600
    assert json.loads(folder.file.read_text())["key"] == "abc"


def test_a_link_left_by_a_kernel_is_replaced_and_not_followed(paths, tmp_path):
    folder = ConnectionFolder.choose(paths)
    folder.make()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder.file.symlink_to(victim)
    folder.write({"key": "new"})
    assert victim.read_text() == "mine" and not folder.file.is_symlink()


def test_bound_means_all_sockets(paths):
    folder = ConnectionFolder.choose(paths)
    folder.make()
    sockets = []
    for channel in CHANNELS:
        assert not folder.bound()
        sockets.append(socket.socket(socket.AF_UNIX))
        sockets[-1].bind(folder.socket(channel))
    assert folder.bound()
    folder.make()  # a restart
    assert not folder.bound()
    folder.remove()
    assert not folder.path.exists()
    for item in sockets:
        item.close()


def test_a_path_too_long_for_a_socket_is_refused_before_anything_is_made(tmp_path):
    deep = Paths(tmp_path, tmp_path / ("x" * 90))
    with pytest.raises(HostError, match="107 bytes") as error:
        ConnectionFolder.choose(deep)
    assert "JUPYTER_CONTAINERS_RUNTIME_DIR" in error.value.hint
    assert not deep.runtime.exists()


def test_the_longest_path_that_is_accepted_can_be_bound(tmp_path):
    base = Path(f"/tmp/{os.urandom(4).hex()}")
    fill = 107 - len(f"{base}//k/{name_folder()}/s-5")
    paths = Paths(tmp_path, base / ("x" * fill))
    folder = ConnectionFolder.choose(paths)
    paths.runtime.mkdir(parents=True)
    try:
        folder.make()
        with socket.socket(socket.AF_UNIX) as item:
            item.bind(folder.socket("hb"))
        assert len(folder.socket("hb")) == 107
    finally:
        import shutil

        shutil.rmtree(base)
