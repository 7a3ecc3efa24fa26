"""Images of more layers than an overlay's mount options have room for: some that lie together are mounted as one.

mount(2) copies one page of options, and every layer's path is in it. An engine makes up to 127 layers; with a store in
a home folder there is room for some fifty. What is merged is made of hard links, in the sandbox's own folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ..errors import HostError
from .idmap import is_needed, stage_folder
from .model import Sandbox
from .overlay import remove_tree
from .targets import is_opaque, is_whiteout, set_opaque

__all__ = ["check_length", "choose_run", "fit", "merge"]

_MOUNT_OPTIONS = 4095
_KEYS = "upperdir=,workdir=,lowerdir=,userxattr"
_SUFFIX = len("/libx32")
"""The longest of the folders that get a read-only overlay of their own: its path is below each layer's."""
_COUNTED = 2000
"""Entries of a layer up to which it matters how many there are."""


def fit(sandbox: Sandbox, layers: tuple[Path, ...]) -> tuple[Path, ...]:
    """*layers*, the sandbox's own, or fewer that show the same and can be mounted together.

    Made beside the sandbox's ``work`` folder, and gone with that; what an earlier start made is used again.
    """
    root = sandbox.root
    if root.upper is None or root.work is None or not layers:
        return layers  # whoever has no writable layer has no folder to make things in
    folder = root.work.parent

    def length(path: Path) -> int:
        if not is_needed() or not path.is_relative_to(sandbox.store):
            return _length(path)
        # As root it is that of a stage (:mod:`.idmap`), which may be longer.
        return max(_length(path), _length(f"{stage_folder()}/store/{path.relative_to(sandbox.store)}"))

    room = _MOUNT_OPTIONS - length(root.upper) - length(root.work) - len(_KEYS)
    longest = max(map(length, (*layers, folder / "merged-100-100"))) + _SUFFIX
    if sum(length(layer) + _SUFFIX for layer in layers) <= room or room < 2 * longest:
        return layers
    first, last = choose_run([_count(layer) for layer in layers], room // longest)
    target = folder / f"merged-{first}-{last}"
    if not target.exists():
        made = target.with_name(f"{target.name}.new")
        remove_tree(made)
        merge(layers[first:last], made)
        made.rename(target)
    return (*layers[:first], target, *layers[last:])


def check_length(paths: Sequence[Path]) -> None:
    """Raise :class:`HostError` where an overlay of *paths* can't be mounted."""
    length = sum(map(_length, paths)) + len(_KEYS)
    if length > _MOUNT_OPTIONS:
        raise HostError(
            f"{len(paths)} layers with paths like {paths[0]} need {length} bytes of mount options; "
            f"the kernel takes {_MOUNT_OPTIONS}",
            hint="set JUPYTER_CONTAINERS_HOME to a folder with a shorter path, or build with fewer steps",
        )


def _length(path: Path | str) -> int:
    # bwrap writes "/oldroot" before each path, and a separator or a key.
    return len(os.fsencode(path)) + len("/oldroot") + 1


def choose_run(costs: Sequence[int], most: int) -> tuple[int, int]:
    """Which of the layers with these *costs* become one, so that *most* are left: the cheapest that lie together."""
    length = len(costs) - most + 1
    first = min(range(most), key=lambda start: sum(costs[start : start + length]))
    return first, first + length


def merge(layers: Sequence[Path], target: Path) -> None:
    """Make *target* what *layers*, lowest first, are together, above and below whatever else."""
    _merge_folders([str(layer) for layer in reversed(layers)], str(target), is_root=True)


def _merge_folders(parts: Sequence[str], target: str, *, is_root: bool = False) -> None:
    """*parts*: topmost first; the last of them may hide what lies below all of them."""
    os.mkdir(target, 0o700)  # noqa: PTH102
    seen: dict[str, list[tuple[str, os.stat_result]]] = {}
    for part in parts:
        with os.scandir(part) as entries:
            for entry in entries:
                seen.setdefault(entry.name, []).append((entry.path, entry.stat(follow_symlinks=False)))
    for name, stack in seen.items():
        place = f"{target}/{name}"
        if not stat.S_ISDIR(stack[0][1].st_mode):
            _link(stack[0][0], place)
            continue
        folders, hides = _folders(stack)
        _merge_folders(folders, place)
        if hides:
            set_opaque(place)
    top = os.lstat(parts[0])
    for key in os.listxattr(parts[0], follow_symlinks=False):
        if key.startswith("user.") and not key.startswith("user.overlay."):
            os.setxattr(target, key, os.getxattr(parts[0], key))
    if os.geteuid() == 0:
        os.chown(target, top.st_uid, top.st_gid)
    os.chmod(target, stat.S_IMODE(top.st_mode))  # noqa: PTH101
    if not is_root:
        os.utime(target, ns=(top.st_mtime_ns, top.st_mtime_ns))


def _folders(stack: Sequence[tuple[str, os.stat_result]]) -> tuple[list[str], bool]:
    """Of what layers have at one path, topmost first: the folders that count, and whether they hide all below."""
    folders: list[str] = []
    for path, status in stack:
        if not stat.S_ISDIR(status.st_mode):
            return folders, True
        folders.append(path)
        if is_opaque(path):
            return folders, True
    return folders, False


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another mount or user, as a shared store may be; or it has as many names as the disk allows
        status = os.lstat(source)
        if is_whiteout(status):
            os.mknod(target, stat.S_IFCHR, 0)
            return
        import shutil  # late: no start waits for it but this

        shutil.copy2(source, target, follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)


def _count(layer: Path) -> int:
    """How many entries a layer has; not exact where there are many."""
    count, stack = 0, [str(layer)]
    while stack and count < _COUNTED:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                count += 1
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
    return count
