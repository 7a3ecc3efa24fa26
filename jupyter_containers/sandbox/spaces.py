"""Namespaces that are made once and kept as descriptors, for all sandboxes that :mod:`.service` launches.

A *map* is a user namespace that nobody lives in: mount_setattr(2) takes from it how owners are shifted.

The *ground* is a mount namespace with the few of the host's mounts that bwrap needs itself: what a sandbox mounts of
the host is put into it by descriptor. bwrap reads /proc/self/mountinfo once for each of its mounts, twenty times, and
the kernel copies all mounts with each new namespace: of some hundred, as hosts with many containers or snaps have.
"""

from __future__ import annotations

import os

from . import kernel
from .failure import Failure

TYPE_CHECKING = False  # typing is a slow import here
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ground", "needed_mounts", "user_namespace"]

_SYSTEM = ("/proc", "/sys", "/dev", "/dev/pts")
"""``/dev/pts``: where standard output is a terminal, bwrap gives it to the sandbox as ``/dev/console``."""
_PROGRAMS = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/etc")


def user_namespace(uid: int, gid: int, identity: int, group: int = -1) -> int:
    """A descriptor of a user namespace that maps (uid, gid) to *identity*: the map of an idmapped mount. *group*: where
    the gid is another number.

    Raises Failure where root makes no user namespace, and OSError.
    """

    def write_maps(child: int) -> None:
        for name, inside, outside in (("uid_map", uid, identity), ("gid_map", gid, group if group >= 0 else identity)):
            with open(f"/proc/{child}/{name}", "w") as file:
                file.write(f"{inside} {outside} 1")

    try:
        return _of_a_child("user", lambda: kernel.unshare("user"), write_maps)
    except ChildProcessError as error:
        raise Failure(
            "the kernel makes no user namespace for root", "as root: sysctl -w user.max_user_namespaces=15000"
        ) from error


def ground(base: str, programs: tuple[str, ...]) -> int:
    """A descriptor of the ground: a root with the system's folders and what *programs* lie on, nothing else.

    *base* is any folder. Raises OSError where the host's root can't be replaced (it is the initial RAM disk).
    """

    def build() -> None:
        kernel.unshare("mnt")
        kernel.keep_mounts_apart()
        with open("/proc/self/mountinfo", "rb") as file:
            wanted = needed_mounts(file.read(), programs)
        clones = [(place, kernel.bind_clone(place, recursive=False)) for place in wanted]
        for place, fd in clones:
            kernel.move_mount(fd, base + place)
            os.close(fd)
        kernel.enter_root(base)

    return _of_a_child("mnt", build, lambda child: None)


def needed_mounts(mountinfo: bytes, programs: tuple[str, ...]) -> list[str]:
    """Of the mount points in *mountinfo* (proc_pid_mountinfo(5)) those that the ground has, outer ones first."""
    # Spaces and their like are written as octal numbers.
    written = {line.split(b" ", 5)[4] for line in mountinfo.splitlines()}
    places = [os.fsdecode(each.decode("unicode_escape").encode("latin-1")) for each in written]
    paths = (*_SYSTEM, *_PROGRAMS, *programs)

    def is_needed(place: str) -> bool:
        below = place.rstrip("/") + "/"
        return any(f"{path}/".startswith(below) for path in paths) or place.startswith(
            tuple(f"{path}/" for path in _PROGRAMS)
        )

    return sorted(filter(is_needed, places), key=lambda place: (place.count("/"), place))


def _of_a_child(kind: str, make: Callable[[], None], then: Callable[[int], None]) -> int:
    """A descriptor of the namespace that a child makes; *then* is called while the child is there.

    ChildProcessError where it could not.
    """
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(done_write)
        try:
            make()
            os.write(ready_write, b"x")
            os.read(done_read, 1)
        finally:
            os._exit(0)
    os.close(ready_write)
    os.close(done_read)
    try:
        if not os.read(ready_read, 1):
            raise ChildProcessError(10, f"it could not make the {kind} namespace")
        then(child)
        return os.open(f"/proc/{child}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(done_write)
        os.close(ready_read)
        os.waitpid(child, 0)
