"""Folders whose makers were killed before there was a container to remove them with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from jupyter_containers.runtime.strays import name_folder, remove_strays

MAKE = """
import os, sys
from jupyter_containers.runtime.strays import name_folder
folder = os.path.join(sys.argv[1], name_folder())
os.mkdir(folder)
open(os.path.join(folder, "connection.json"), "x").close()
print(folder)
"""


def made_by_another(parent: Path) -> Path:
    """A folder of a process that has ended."""
    done = subprocess.run([sys.executable, "-c", MAKE, str(parent)], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def later() -> float:
    return time.time() + 1


def test_a_dead_maker_s_folder_goes(tmp_path: Path) -> None:
    folder = made_by_another(tmp_path)
    remove_strays(tmp_path, before=folder.stat().st_mtime)
    assert folder.is_dir()  # it may be in use again
    remove_strays(tmp_path, before=later())
    assert not folder.exists()


def test_others_stay(tmp_path: Path) -> None:
    own, bound, foreign = tmp_path / name_folder(), made_by_another(tmp_path), tmp_path / "12345678"
    own.mkdir()
    foreign.mkdir()
    elsewhere = bound.with_name(f"fff{bound.name[3:]}")
    elsewhere.mkdir()  # 0xfff is more than any place's number
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(bound / "s-1"))
        remove_strays(tmp_path, before=later())
    assert all(folder.is_dir() for folder in (own, bound, foreign, elsewhere))


def test_there_may_be_no_folder_yet(tmp_path: Path) -> None:
    remove_strays(tmp_path / "k", before=later())
