"""The host's end of `cp`: paths of the caller's, who may follow links as a shell does, and standard streams."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from ..image.bounds import DEFAULT_BOUNDS, Room
from ..image.progress import Progress, quiet
from .copying import NOT_COPIED, Copied, copy, open_source, open_target, told
from .places import FOLDER, FolderPlace, Place
from .streams import unpack_stream, write_stream

__all__ = ["copy_in", "copy_out"]


def copy_out(root: Place, path: str, target: str, *, label: str, follow: bool, progress: Progress = quiet) -> Copied:
    """Copy *path* below a container's *root* to the host's path *target*, or as a tar to standard output (``-``).

    *label* names the source in errors. :class:`~jupyter_containers.errors.ContainerError`.
    """
    _check_inside(path, label)
    with open_source(root, path, label=label, follow=follow, named=path) as source:
        if target == "-":
            if sys.stdout.isatty():
                raise InputError("a tar is not for a terminal", hint="redirect it: `… - > FILE` or `… - | tar x`")
            copied = write_stream(source, sys.stdout.buffer, skip=NOT_COPIED, progress=progress)
            sys.stdout.buffer.flush()
            return copied
        with (
            told(target),
            _host_folder(target, follow=True) as (folder, name),
            open_target(folder, name, source, label=target) as spot,
        ):
            return copy(source, spot, skip=NOT_COPIED, progress=progress)


def copy_in(
    root: Place, source: str, path: str, *, label: str, follow: bool, disk: Path, progress: Progress = quiet
) -> Copied:
    """Copy the host's path *source*, or a tar from standard input (``-``), to *path* below a container's *root*.

    *disk*: a folder on the disk that holds containers, which a tar may not fill.
    """
    _check_inside(path, label)
    if source == "-":
        room = Room(disk, DEFAULT_BOUNDS, what="standard input")
        with told(label):
            return unpack_stream(root, path, sys.stdin.buffer, what="standard input", room=room, progress=progress)
    with (
        told(source),
        _host_folder(source, follow=follow) as (folder, name),
        open_source(folder, name, label=source, follow=follow, named=source) as found,
        open_target(root, path, found, label=label) as spot,
        told(label),
    ):
        return copy(found, spot, progress=progress)


@contextmanager
def _host_folder(path: str, *, follow: bool) -> Iterator[tuple[FolderPlace, str]]:
    """The folder that holds *path*, and its name in it, with what *path* ends with. Links on the way are followed,
    as for any program of the caller's, and with *follow*, or a ``/`` at the end, one at the end, too."""
    ending = "/." if path == "." or path.endswith("/.") else "/" if path.endswith("/") else ""
    # ".." by the text, as docker has it.
    above, name = os.path.split(os.path.abspath(path))  # noqa: PTH100
    whole = os.path.join(os.path.realpath(above), name)  # noqa: PTH118
    above, name = os.path.split(os.path.realpath(whole) if follow or ending else whole)
    with FolderPlace(os.open(above, FOLDER & ~os.O_NOFOLLOW)) as folder:
        yield folder, name + ending


def _check_inside(path: str, label: str) -> None:
    first = next((part for part in path.split("/") if part not in ("", ".")), "")
    if first in NOT_COPIED:
        raise InputError(
            f"{label}: /{first} of a container holds no files, but the kernel's answers", hint="read it with `exec`"
        )
