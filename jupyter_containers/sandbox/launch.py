"""The few steps between this program and bwrap that must happen in the process that becomes bwrap.

Run as ``python -I -S`` by :func:`.process.spawn`: with no site packages and few imports it starts in milliseconds.
It joins the control groups, sets limits, as root makes the idmapped clones and becomes the unprivileged id
(:mod:`.idmap`), and executes bwrap. Its orders (:mod:`.orders`) come as a marshalled dict through a descriptor; what
goes wrong is written to the status descriptor as one JSON line, ``{"launch-error": message, "hint": remedy}``.
"""

from __future__ import annotations

import errno
import marshal
import os

from . import kernel, signals

TYPE_CHECKING = False  # typing is a slow import here
if TYPE_CHECKING:
    from .orders import Orders

__all__ = ["main"]


def main(orders_fd: int) -> None:
    """Carry out the orders; never returns."""
    with open(orders_fd, "rb") as file:
        file.seek(0)
        orders = marshal.load(file)  # noqa: S302  written by our own parent, through a memfd
    try:
        _launch(orders)
    except _Failure as failure:
        _report(orders["status"], str(failure), failure.hint)
    except OSError as error:
        _report(orders["status"], f"{error.filename or 'launch'}: {error.strerror}", "")
    os._exit(125)


class _Failure(Exception):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def _launch(orders: Orders) -> None:
    for group in orders["groups"]:
        with open(group, "w") as file:
            file.write("0")
    for which, value in orders["rlimits"]:
        import resource  # late: seldom asked for

        resource.setrlimit(which, (value, value))
    if orders["identity"] is not None:
        _make_stage(orders["stage"], orders["clones"], orders["identity"])
        _become(orders["identity"])
    if orders["parent"]:
        # bwrap asks for the same, but its parent may be gone by then, and a change of uid clears what was asked.
        kernel.set_parent_death_signal(kernel.SIGKILL)
        if os.getppid() != orders["parent"]:
            os._exit(125)
    signals.reset()
    os.execv(orders["argv"][0], orders["argv"])  # noqa: S606


def _make_stage(
    stage: str, clones: list[tuple[str, str, tuple[int, int] | None, bool, bool, bool]], identity: int
) -> None:
    kernel.unshare("mnt")
    kernel.mount("none", "/", None, kernel.MS["private"] | kernel.MS["rec"])
    namespaces: dict[tuple[int, int], int] = {}
    ready: list[tuple[int, str, bool]] = []
    # All sources are cloned before the stage's tmpfs may hide one of them.
    for source, target, shift, recursive, folder, resolved in clones:
        try:
            fd = kernel.bind_clone(source, recursive=recursive, resolved=resolved)
        except OSError as error:
            raise _Failure(f"cannot mount {source}: {error.strerror}", "") from error
        if shift is not None:
            if shift not in namespaces:
                namespaces[shift] = _user_namespace(*shift, identity)
            _shift(fd, source, namespaces[shift], recursive)
        ready.append((fd, target, folder))
    kernel.mount("stage", stage, "tmpfs", kernel.MS["nosuid"] | kernel.MS["nodev"], "mode=0755,size=1m")
    for fd, target, folder in ready:
        if folder:
            os.makedirs(target)  # noqa: PTH103  pathlib is a slow import here
        else:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o644))
        kernel.move_mount(fd, target)
        os.close(fd)


def _shift(fd: int, source: str, namespace: int, recursive: bool) -> None:
    attributes = kernel.MOUNT_ATTR["idmap"] | kernel.MOUNT_ATTR["nosuid"] | kernel.MOUNT_ATTR["nodev"]
    try:
        kernel.set_mount_attributes(fd, attributes, user_namespace=namespace, recursive=recursive, what=source)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise _Failure(
                f"the file system of {source} has no idmapped mounts ({error.strerror}), "
                "which a caller with uid 0 needs so that containers do not run as root",
                "run as an ordinary user, or use a folder on ext4, xfs or btrfs with Linux 5.19 or newer "
                "(JUPYTER_CONTAINERS_HOME for the store)",
            ) from error
        raise


def _user_namespace(uid: int, gid: int, identity: int) -> int:
    """A descriptor of a user namespace that maps (uid, gid) to *identity*: the map of an idmapped mount."""
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(done_write)
        try:
            kernel.unshare("user")
            os.write(ready_write, b"x")
            os.read(done_read, 1)
        finally:
            os._exit(0)
    os.close(ready_write)
    os.close(done_read)
    try:
        if not os.read(ready_read, 1):
            raise _Failure(
                "the kernel makes no user namespace for root",
                "as root: sysctl -w user.max_user_namespaces=15000",
            )
        for name, inside in (("uid_map", uid), ("gid_map", gid)):
            with open(f"/proc/{child}/{name}", "w") as file:
                file.write(f"{inside} {identity} 1")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(done_write)
        os.close(ready_read)
        os.waitpid(child, 0)


def _become(identity: int) -> None:
    os.chdir("/")
    os.setgroups([])
    os.setresgid(identity, identity, identity)
    os.setresuid(identity, identity, identity)  # from 0: the kernel clears all capabilities
    if os.geteuid() == 0 or os.getuid() == 0:
        os._exit(125)


def _report(status: int, message: str, hint: str) -> None:
    import json  # late: for the error only

    os.write(status, (json.dumps({"launch-error": message, "hint": hint}) + "\n").encode())
