"""What a fork does to live in a sandbox of its own, in the fork: its namespaces, its mounts, no rights.

It has run code of the image, so nothing here is trusted by anyone outside: a fork that is not what it seems can mount
in its own namespaces what it was given, and that is all. Names of steps are those of :mod:`.plan`.
Sources: unshare(2), user_namespaces(7), move_mount(2), pivot_root(2), proc(5), pts(4), netdevice(7).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .. import kernel

__all__ = ["drop_rights", "enter_namespaces", "make_root"]

_PLACE = "/run"
"""Where the new root is attached first: a folder that every sandbox has."""
_WORKSHOP = "/dev/shm"  # noqa: S108  of the fork server; small files are made here, in a mount of this fork's own
_QUIET = kernel.MS["nosuid"] | kernel.MS["nodev"]
_CLOSED = _QUIET | kernel.MS["noexec"]
_ALL = ("user", "mnt", "pid", "ipc", "uts", "cgroup")


def enter_namespaces(uid: int, gid: int, *, network: bool) -> None:
    """New ones of every kind, for this process and (pid) its children; *network*: also that.

    *uid* and *gid* are who it is, inside as before.
    """
    kernel.unshare(*_ALL, *(("net",) if network else ()))
    kernel.map_ids(uid, gid)


def make_root(steps: Sequence[Sequence[Any]], mounts: Sequence[int]) -> None:
    """Carry out *steps*; afterwards the new root is all there is. For pid 1 of the new pid namespace."""
    kernel.keep_mounts_apart()
    kernel.mount("tmpfs", _WORKSHOP, "tmpfs", _QUIET, "mode=0700,size=1m")
    made = _Root(mounts)
    for name, *arguments in steps:
        getattr(made, name)(*arguments)
    kernel.enter_root(_PLACE)


class _Root:
    """A method for each kind of step."""

    def __init__(self, mounts: Sequence[int]) -> None:
        self._mounts = mounts
        self._files = 0

    def attach(self, index: int, target: str, folder: bool) -> None:
        place = _in_root(target)
        (_make_folder if folder else _make_file)(place)
        kernel.move_mount(self._mounts[index], place)

    def proc(self) -> None:
        kernel.mount("proc", _make_folder(_in_root("/proc")), "proc", _CLOSED)

    def devices(self, names: Sequence[str], links: dict[str, str]) -> None:
        place = _make_folder(_in_root("/dev"))
        kernel.mount("tmpfs", place, "tmpfs", kernel.MS["nosuid"] | kernel.MS["noexec"], "mode=0755")
        for name in names:
            _make_file(f"{place}/{name}")
            kernel.mount(f"/dev/{name}", f"{place}/{name}", None, kernel.MS["bind"])
        kernel.mount("devpts", _make_folder(f"{place}/pts"), "devpts", kernel.MS["nosuid"] | kernel.MS["noexec"],
                     "newinstance,ptmxmode=0666,mode=0620")  # fmt: skip
        kernel.mount("tmpfs", _make_folder(f"{place}/shm"), "tmpfs", _QUIET, "mode=1777")
        for name, target in links.items():
            os.symlink(target, f"{place}/{name}")  # noqa: PTH211

    def tmpfs(self, target: str, size: int | None, mode: int) -> None:
        place = _make_folder(_in_root(target))
        options = f"mode={mode:04o}" + (f",size={size}" if size is not None else "")
        kernel.mount("tmpfs", place, "tmpfs", _QUIET, options)

    def queues(self, target: str) -> None:
        kernel.mount("mqueue", _make_folder(_in_root(target)), "mqueue", _CLOSED)

    def show(self, path: str) -> None:
        """A folder of the fork server's own, read-only."""
        place = _make_folder(_in_root(path))
        kernel.mount(path, place, None, kernel.MS["bind"])
        _make_read_only(place, _CLOSED)

    def read_only(self, path: str) -> None:
        place = _in_root(path)
        kernel.mount(place, place, None, kernel.MS["bind"])
        _make_read_only(place, _CLOSED)

    def cover(self, path: str) -> None:
        kernel.mount("/dev/null", _in_root(path), None, kernel.MS["bind"])

    def file(self, target: str, content: bytes) -> None:
        made = f"{_WORKSHOP}/{self._files}"
        self._files += 1
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        os.write(handle, content)
        os.close(handle)
        place = _in_root(target)
        _make_file(place)
        kernel.mount(made, place, None, kernel.MS["bind"])
        _make_read_only(place, _QUIET)


def _in_root(path: str) -> str:
    return _PLACE + path.rstrip("/")


def _make_folder(place: str) -> str:
    os.makedirs(place, exist_ok=True)  # noqa: PTH103
    return place


def _make_file(place: str) -> None:
    _make_folder(os.path.dirname(place))  # noqa: PTH120
    os.close(os.open(place, os.O_WRONLY | os.O_CREAT, 0o644))


def _make_read_only(place: str, flags: int) -> None:
    kernel.mount("none", place, None, kernel.MS["remount"] | kernel.MS["bind"] | kernel.MS["rdonly"] | flags)


def drop_rights(filter_program: bytes) -> None:
    """No capability, no new ones, and the system call filter of every container."""
    kernel.drop_capabilities()
    kernel.forbid_new_privileges()
    kernel.install_filter(filter_program)
