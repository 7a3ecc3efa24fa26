"""The few steps between this program and bwrap that must happen in the process that becomes bwrap.

It joins the control groups, sets limits, as root makes the idmapped clones and becomes the unprivileged id
(:mod:`.idmap`), and executes bwrap. Its orders (:mod:`.orders`) come as a marshalled dict in a memory file; what goes
wrong is written to the status descriptor as one JSON line, ``{"launch-error": message, "hint": remedy}``.

Run as ``python -I -S``, with no site packages and few imports: for one sandbox (:func:`main`), or by :mod:`.service`,
which has an interpreter ready.
"""

from __future__ import annotations

import errno
import marshal
import os

# What json.dumps does to text. All of json takes 8 ms, and when it is needed the id has changed to one that may be
# unable to read Python's own files.
from _json import encode_basestring_ascii as quoted

from . import kernel, signals
from .failure import Failure
from .spaces import user_namespace

TYPE_CHECKING = False  # typing is a slow import here
if TYPE_CHECKING:
    from .orders import MountOrders, Orders

__all__ = ["Maps", "become", "carry_out", "fill_stage", "main", "make_maps", "make_network", "mount_stage", "read"]

Maps = dict[tuple[int, int], int]
"""User namespaces, as descriptors, by the (uid, gid) on disk that they map to the unprivileged id."""


def main(handle: int) -> None:
    """Carry out the orders in the descriptor *handle* in this process; never returns."""
    carry_out(read(handle), {})


def read(handle: int) -> Orders:
    with open(handle, "rb", closefd=False) as file:
        file.seek(0)
        orders: Orders = marshal.load(file)  # noqa: S302  written by our own parent, through a memfd
    return orders


def carry_out(orders: Orders, maps: Maps, stage: int = -1, *, network: bool = False) -> None:
    """Carry out the orders in this process; never returns.

    Made ahead: *maps*; *stage*: a mount namespace with an empty stage, :func:`mount_stage`; *network*: this process
    is in a network namespace that :func:`make_network` has made.
    """
    try:
        if orders["network"] and not network:
            make_network()
        _launch(orders, maps, stage)
    except Failure as failure:
        _report(orders["status"], str(failure), failure.hint)
    except OSError as error:
        _report(orders["status"], f"{error.filename or 'launch'}: {error.strerror}", "")
    os._exit(125)


def _launch(orders: Orders, maps: Maps, stage: int) -> None:
    for group in orders["groups"]:
        file = os.open(group, os.O_WRONLY | os.O_CLOEXEC)
        os.write(file, b"0")
        os.close(file)
    for which, value in orders["rlimits"]:
        import resource  # late: seldom asked for

        resource.setrlimit(which, (value, value))
    if orders["identity"] is not None:
        make_maps(orders, maps)
        fill_stage(orders, maps, stage, program=orders["argv"][0])
        become(orders["identity"])
    # bwrap asks for the same, but its parent may be gone by then, and a change of uid clears what was asked.
    kernel.set_parent_death_signal(kernel.SIGKILL if orders["parent"] else 0)
    if orders["parent"] and os.getppid() != orders["parent"]:
        os._exit(125)
    signals.reset()
    os.umask(0o022)  # the caller's would decide the modes of what a build makes
    os.execv(orders["argv"][0], orders["argv"])  # noqa: S606


def make_maps(orders: Orders | MountOrders, maps: Maps) -> None:
    """The user namespaces that the orders need and *maps* has not yet. Raises Failure and OSError."""
    identity = orders["identity"]
    if identity is None:
        return
    for _, _, shift, _, _, _ in orders["clones"]:
        if shift is not None and shift not in maps:
            maps[shift] = user_namespace(*shift, identity)


def make_network() -> None:
    """A network namespace for this process, with only a loopback in it. Root makes it, and not bwrap, since it takes
    as long as all that bwrap does if another has just ended; nobody in a sandbox has rights over it."""
    kernel.unshare("net")
    kernel.bring_loopback_up()


def mount_stage(place: str) -> None:
    """In a mount namespace of this process: an empty folder at *place*."""
    kernel.mount("stage", place, "tmpfs", kernel.MS["nosuid"] | kernel.MS["nodev"], "mode=0755,size=1m")


def fill_stage(orders: Orders | MountOrders, maps: Maps, stage: int = -1, *, program: str = "") -> None:
    """Mount the clones that the orders name, in a mount namespace of this process. Raises Failure and OSError.

    *stage*: one with an empty stage; used where the file *program* is the same one there.
    """
    ready: list[tuple[int, str, bool]] = []
    # All sources are cloned before the stage may hide one of them.
    for source, target, shift, recursive, folder, resolved in orders["clones"]:
        try:
            fd = kernel.bind_clone(source, recursive=recursive, resolved=resolved)
        except OSError as error:
            raise Failure(f"cannot mount {source}: {error.strerror}") from error
        if shift is not None:
            _shift(fd, source, maps[shift], recursive)
        ready.append((fd, target, folder))
    if stage < 0 or not join_stage(stage, program, orders["stage"]):
        kernel.unshare("mnt")
        kernel.keep_mounts_apart()
        mount_stage(orders["stage"])
    for fd, target, folder in ready:
        if folder:
            os.makedirs(target)  # noqa: PTH103  pathlib is a slow import here
        else:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o644))
        kernel.move_mount(fd, target)
        os.close(fd)


def join_stage(stage: int, program: str, place: str) -> bool:
    """Join the mount namespace *stage*; False where the file *program* is another one there."""
    here = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        before = None if program.startswith(f"{place}/") else os.stat(program)  # noqa: PTH116
        kernel.join_namespace(stage, "mnt")
        try:
            if before is None or os.path.samestat(os.stat(program), before):  # noqa: PTH116
                return True
        except OSError:
            pass
        kernel.join_namespace(here, "mnt")
        return False
    finally:
        os.close(here)


def _shift(fd: int, source: str, namespace: int, recursive: bool) -> None:
    attributes = kernel.MOUNT_ATTR["idmap"] | kernel.MOUNT_ATTR["nosuid"] | kernel.MOUNT_ATTR["nodev"]
    try:
        kernel.set_mount_attributes(fd, attributes, user_namespace=namespace, recursive=recursive, what=source)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise Failure(
                f"the file system of {source} has no idmapped mounts ({error.strerror}), "
                "which a caller with uid 0 needs so that containers do not run as root",
                "run as an ordinary user, or use a folder on ext4, xfs or btrfs with Linux 5.19 or newer "
                "(JUPYTER_CONTAINERS_HOME for the store)",
            ) from error
        raise


def become(identity: int) -> None:
    """Be the unprivileged id for good."""
    os.chdir("/")
    os.setgroups([])
    os.setresgid(identity, identity, identity)
    os.setresuid(identity, identity, identity)  # from 0: the kernel clears all capabilities
    if os.geteuid() == 0 or os.getuid() == 0:
        os._exit(125)


def _report(status: int, message: str, hint: str) -> None:
    text = f'{{"launch-error": {quoted(message)}, "hint": {quoted(hint)}}}\n'
    os.write(status, text.encode())
