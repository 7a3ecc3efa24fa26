"""Take a container away: its processes, control group, sockets, name and folder, in that order.

Standard library and ``sandbox/`` only, and everything is read as plain JSON: the reaper does this in a process that
has imported nothing else, for an owner that is no more. Every step may already have been done by another.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..sandbox import cgroup
from ..sandbox.overlay import remove_tree
from .identity import is_alive, kill_process, read_scope

__all__ = ["end_processes", "group_name", "remove_container", "remove_group"]


def group_name(container_id: str) -> str:
    """Of a container's control group, so that it is found without being told."""
    return f"jc-{container_id}"


def end_processes(path: Path) -> None:
    """SIGKILL what runs of the container in *path* (another host's is left alone)."""
    kept = _read(path / "state.json")
    if kept.get("scope") == read_scope():
        process = kept.get("process") or [0, 0]
        # The first process is pid 1 of its namespace: the kernel ends all others with it, and bwrap's outer
        # process takes it along (--die-with-parent). Its pid is used only while the outer one vouches for it.
        if is_alive(*process):
            kill_process(*process)
    group = cgroup.find_group(group_name(path.name))
    if group is not None:
        group.kill()


def remove_group(container_id: str) -> None:
    """Remove its control group, empty by now."""
    group = cgroup.find_group(group_name(container_id))
    if group is not None:
        group.remove()


def remove_container(path: Path) -> None:
    """Remove all of it. What runs is killed first.

    Raises :class:`OSError` where the folder can't be removed; calling it again goes on.
    """
    end_processes(path)
    remove_group(path.name)
    config = _read(path / "config.json")
    for folder in config.get("scratch", ()):
        _remove_scratch(Path(folder))
    link = path.parent / "names" / str(config.get("name") or "-")
    with suppress(OSError):
        if os.readlink(link) == path.name:  # noqa: PTH115
            link.unlink()
    # Out of sight in one step, so that no list shows half a container.
    gone = path.with_name(f".gone-{path.name}")
    with suppress(FileNotFoundError):
        path.rename(gone)
    if gone.exists():
        remove_tree(gone)


def _remove_scratch(folder: Path) -> None:
    """A folder of sockets. Only one of our own, never through a link: the text comes from a file."""
    with suppress(FileNotFoundError):
        status = folder.lstat()
        if status.st_uid == os.geteuid() and status.st_mode & 0o170000 == 0o040000:
            remove_tree(folder)


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
