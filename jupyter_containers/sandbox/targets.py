"""Where mount points really lie in a root that may be hostile.

bwrap makes missing mount points while the host's root is still reachable under ``/oldroot``. A symbolic link in an
image (``/etc -> /oldroot/home/me``) would make it create files outside. So every target is walked here first, link
by link and bound to the root, and bwrap is given the path that holds no link (cf. CVE-2024-42472).
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import HostError

__all__ = ["View", "find", "find_folders", "is_opaque", "is_whiteout", "set_opaque"]

_OPAQUE = "user.overlay.opaque"
_MOST_LINKS = 40  # MAXSYMLINKS, path_resolution(7)


def is_whiteout(status: os.stat_result) -> bool:
    """A character device 0:0: the overlay's mark for "removed here"."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(folder: str | Path, *, follow: bool = False) -> bool:
    """Whether a folder of a layer hides the folders of its name below. *follow*: it is /proc's link to an open one."""
    try:
        return os.getxattr(folder, _OPAQUE, follow_symlinks=follow) == b"y"
    except OSError:
        return False


def set_opaque(folder: str) -> None:
    os.setxattr(folder, _OPAQUE, b"y")


class View(NamedTuple):
    """What the sandbox will see, as mount points and the host folders behind them, topmost first.

    ``mounts`` has ``/`` with the root's upper folder and layers, a bind's target with its source, and an empty
    tuple for what starts out empty (tmpfs, proc, dev).
    """

    mounts: Mapping[str, Sequence[Path]]

    def resolve(self, target: str) -> str:
        """The path of *target* without symbolic links; what does not exist yet is taken as written.

        Raises HostError for a relative path and for a loop of links.
        """
        if not target.startswith("/"):
            raise HostError(f"mount target {target!r} is not an absolute path", hint="start it with /")
        todo = [part for part in target.split("/") if part not in ("", ".")][::-1]
        done = "/"
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = posixpath.dirname(done)
                continue
            path = posixpath.join(done, part)
            link = self._link(path)
            if link is None:
                done = path
                continue
            links += 1
            if links > _MOST_LINKS:
                raise HostError(
                    f"mount target {target} is a loop of symbolic links in the image",
                    hint="choose another target",
                )
            todo += [step for step in link.split("/") if step not in ("", ".")][::-1]
            if link.startswith("/"):
                done = "/"
        return done

    def _link(self, path: str) -> str | None:
        """The text of the symbolic link at *path*, None where there is none."""
        if path in self.mounts:
            return None
        mount = path
        while mount not in self.mounts:
            mount = posixpath.dirname(mount)
        inside = path[len(mount) :].lstrip("/")
        found = find(self.mounts[mount], inside)
        if found is None or not stat.S_ISLNK(found[1].st_mode):
            return None
        return os.readlink(found[0])  # noqa: PTH115


def find(roots: Sequence[Path], inside: str) -> tuple[str, os.stat_result] | None:
    """What a stack of folders, topmost first, has at the relative path *inside*: host path and status.

    The caller has resolved the parents of *inside*: they are folders of the stack. None: nothing is there, or it was
    removed, or it is not ours to look at.
    """
    for root in roots:
        place, opaque = str(root), False
        # Part by part: a lower layer may have a link where a higher one has a folder, and a path through it would be
        # looked up on the host.
        *parents, last = inside.split("/")
        for part in parents:
            place = f"{place}/{part}"
            status = _look(place)
            if isinstance(status, OSError):
                return None
            if status is None:
                break
            if not stat.S_ISDIR(status.st_mode):
                return None  # removed or replaced here, so that the layers below don't count
            opaque = opaque or is_opaque(place)
        else:
            place = f"{place}/{last}"
            status = _look(place)
            if isinstance(status, OSError):
                return None
            if status is not None:
                return None if is_whiteout(status) else (place, status)
        if opaque:
            return None
    return None


def find_folders(roots: Sequence[Path], inside: str) -> tuple[Path, ...]:
    """The folders that a stack of folders, topmost first, has at the relative path *inside*, topmost first: what an
    overlay shows there is made of them. As for :func:`find`, the parents of *inside* have been resolved."""
    found: list[Path] = []
    for root in roots:
        place, opaque = str(root), False
        for part in inside.split("/"):
            place = f"{place}/{part}"
            status = _look(place)
            if status is None:
                break
            if isinstance(status, OSError) or not stat.S_ISDIR(status.st_mode):
                return tuple(found)  # removed or replaced here, so that the layers below don't count
            opaque = opaque or is_opaque(place)
        else:
            found.append(Path(place))
        if opaque:
            break
    return tuple(found)


def _look(place: str) -> os.stat_result | OSError | None:
    """The status of *place*, None where there is nothing, an error where it is closed to us."""
    try:
        return os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # a folder closed to us: then nothing is made there either
        return error
