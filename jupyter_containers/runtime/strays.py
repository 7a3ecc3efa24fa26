"""Folders of sockets that were made for a container which has never come to be: who made them was killed before.

A container's own are removed with it (:mod:`.removal`), for its configuration names them. Before it has one, only their
names tell whose they are: ``<where><pid>-<chance>``, in 3, 6 (a pid has 22 bits) and 8 hexadecimal digits; *where* is
the place in which the pid has a meaning (:func:`.identity.read_scope`).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from ..image.tree import remove_tree
from .identity import read_scope, read_start_time

__all__ = ["name_folder", "remove_strays"]

_NAME = re.compile(r"([0-9a-f]{3})([0-9a-f]{6})-[0-9a-f]{8}")


def name_folder() -> str:
    """A name for a folder that this process makes, by chance one that no other has."""
    return f"{_place()}{os.getpid():06x}-{os.urandom(4).hex()}"


def remove_strays(parent: Path, *, before: float) -> None:
    """Remove the folders in *parent* whose makers have ended, that have no socket, and were changed *before* (a time)
    for the last time.

    One with sockets may be that of a kernel that outlives its server, perhaps of another home with this runtime folder;
    one that has just lost them, of such a kernel that is being restarted by the next server.
    """
    place = _place()
    try:
        names = os.listdir(parent)
    except FileNotFoundError:
        return
    for name in names:
        found = _NAME.fullmatch(name)
        if found is None or found[1] != place or read_start_time(int(found[2], 16)) is not None:
            continue
        folder = parent / name
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime < before and not any(each.is_socket() for each in folder.iterdir()):
                remove_tree(folder)


def _place() -> str:
    return f"{int.from_bytes(read_scope().encode()) % 4093:03x}"
