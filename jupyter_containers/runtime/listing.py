"""All containers at one look, for those who look again and again.

Each container's ``state.json`` is read once for each time that it is replaced: whether it was is told by the file's
inode and times. Whether a container that should run still does is asked of the kernel at each look.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import NotFoundError
from .base import ContainerState
from .folder import Folder, Kept, list_ids, scope

__all__ = ["list_states"]

_RACY = 0.1
"""Seconds: a file that is younger may be replaced once more within one tick of the file system's clock, and a new one
gets the number of one that is no more, so that the two can't be told apart. It is read again."""


class _Seen(NamedTuple):
    mark: tuple[int, int, int]
    kept: Kept
    state: ContainerState


_seen: dict[Path, dict[str, _Seen]] = {}
"""By folder of containers, by id. Replaced as a whole, so that looks from several threads do each other no harm."""


def list_states(containers: Path) -> list[ContainerState]:
    """What is known now of each container in *containers*, in no order."""
    before, now = _seen.get(containers, {}), {}
    top = str(containers)
    for container_id in list_ids(containers):
        with suppress(NotFoundError, FileNotFoundError, NotADirectoryError):  # removed while we look
            now[container_id] = _look(f"{top}/{container_id}", before.get(container_id))
    _seen[containers] = now
    return [seen.state for seen in now.values()]


def _look(path: str, known: _Seen | None) -> _Seen:
    status = os.stat(f"{path}/state.json")  # noqa: PTH116  as a text: a path of its own for each costs more
    mark = (status.st_ino, status.st_mtime_ns, status.st_size)
    if known is not None and known.mark == mark:
        kept, state = known.kept, known.state
        if kept.status != "running" or (state.status != "exited" and _lives_here(kept)):
            return known
        folder = Folder(Path(path))
    else:
        folder = Folder(Path(path))
        kept = folder.kept()
        if abs(time.time() - status.st_mtime) < _RACY:
            mark = (0, 0, 0)
    return _Seen(mark, kept, folder.state_of(kept))


def _lives_here(kept: Kept) -> bool:
    return kept.process is not None and kept.scope == scope() and kept.process.is_alive()
