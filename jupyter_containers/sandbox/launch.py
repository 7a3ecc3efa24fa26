"""The few steps between this program and bwrap that must happen in the process that becomes bwrap.

Run as ``python -I -S``: with no site packages and few imports. It joins the control groups, sets limits, as root makes
the idmapped clones and becomes the unprivileged id (:mod:`.idmap`), and executes bwrap. Its orders (:mod:`.orders`)
come as a marshalled dict in a memory file; what goes wrong is written to the status descriptor as one JSON line,
``{"launch-error": message, "hint": remedy}``.

:func:`serve` does it again and again, for :mod:`.launcher`: an interpreter takes 15 ms to start, a fork of one that has
done nothing yet under one. Each child is, to the kernel, a child of the process that gave the orders.
"""

from __future__ import annotations

import errno
import marshal
import os

# What json.dumps does to text. All of json takes 8 ms, and when it is needed the id has changed to one that may be
# unable to read Python's own files.
from _json import encode_basestring_ascii as quoted

from . import kernel, signals

TYPE_CHECKING = False  # typing is a slow import here
if TYPE_CHECKING:
    from .orders import Orders

__all__ = ["main", "serve"]

_Maps = dict[tuple[int, int], int]
_MOST_MAPS = 256
"""User namespaces that are kept; a server has one map for each owner of a folder that it mounts."""


class _Failure(Exception):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def main(handle: int) -> None:
    """Carry out the orders in the descriptor *handle* in this process; never returns."""
    orders = _read(handle)
    _carry_out(orders, {})


def serve(handle: int, owner: int) -> None:
    """Carry out the orders that come through the socket *handle*, each in a child of process *owner*, until that
    process ends. Answers with the child's pid, or with the number of the error."""
    import gc
    import resource  # noqa: F401  not in each child

    from .passing import receive, send, taken

    kernel.set_parent_death_signal(kernel.SIGKILL)
    if os.getppid() != owner:
        os._exit(0)
    end = taken(handle)
    maps: _Maps = {}
    gc.disable()  # a collection would write to every page that children share
    gc.freeze()
    while True:
        try:
            _, fds = receive(end)
        except (EOFError, OSError):
            os._exit(0)
        try:
            answer = _start(fds, maps)
        except OSError as error:
            answer = -(error.errno or errno.EIO)
        for fd in fds:
            os.close(fd)
        try:
            send(end, b"%d" % answer)
        except OSError:
            os._exit(0)


def _start(fds: list[int], maps: _Maps) -> int:
    """A child that carries out the orders in the first of *fds*; its pid."""
    orders = _read(fds[0])
    try:  # noqa: SIM105  contextlib is a slow import here
        _make_maps(orders, maps)
    except (_Failure, OSError):
        pass  # the child fails at the same, and tells it where it is read
    child = _fork(orders)
    if child:
        return child
    try:
        _take_place(orders, fds[1:], maps)
        _carry_out(orders, maps)
    finally:
        os._exit(125)


def _fork(orders: Orders) -> int:
    for path in orders["groups"]:
        if not path.endswith("/cgroup.procs"):
            continue
        try:
            folder = os.open(path.removesuffix("/cgroup.procs"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                child = kernel.fork_sibling(cgroup=folder)
            finally:
                os.close(folder)
        except OSError:
            break  # it joins as any process does, or tells what is in the way
        orders["groups"].remove(path)
        return child
    return kernel.fork_sibling()


def _take_place(orders: Orders, fds: list[int], maps: _Maps) -> None:
    """Be what subprocess.Popen makes of a child: its descriptors and no others, a session of its own."""
    import resource

    # Before the descriptors: the owner's numbers may be above what was the limit when this process was started.
    resource.setrlimit(resource.RLIMIT_NOFILE, orders["open_files"])
    numbers = frozenset(orders["fds"])
    for shift, fd in maps.items():
        maps[shift] = _clear_of(numbers, fd)
    sources = [_clear_of(numbers, fd) for fd in fds]
    for source, number in zip(sources, orders["fds"], strict=True):
        os.dup2(source, number)  # all others are closed by execve
    os.setsid()


def _clear_of(numbers: frozenset[int], fd: int) -> int:
    while fd in numbers:
        fd = os.dup(fd)
    return fd


def _read(handle: int) -> Orders:
    with open(handle, "rb", closefd=False) as file:
        file.seek(0)
        orders: Orders = marshal.load(file)  # noqa: S302  written by our own parent, through a memfd
    return orders


def _carry_out(orders: Orders, maps: _Maps) -> None:
    try:
        _launch(orders, maps)
    except _Failure as failure:
        _report(orders["status"], str(failure), failure.hint)
    except OSError as error:
        _report(orders["status"], f"{error.filename or 'launch'}: {error.strerror}", "")
    os._exit(125)


def _launch(orders: Orders, maps: _Maps) -> None:
    for group in orders["groups"]:
        with open(group, "w") as file:
            file.write("0")
    for which, value in orders["rlimits"]:
        import resource  # late: seldom asked for

        resource.setrlimit(which, (value, value))
    if orders["identity"] is not None:
        _make_maps(orders, maps)
        _make_stage(orders["stage"], orders["clones"], maps)
        _become(orders["identity"])
    if orders["parent"]:
        # bwrap asks for the same, but its parent may be gone by then, and a change of uid clears what was asked.
        kernel.set_parent_death_signal(kernel.SIGKILL)
        if os.getppid() != orders["parent"]:
            os._exit(125)
    signals.reset()
    os.execv(orders["argv"][0], orders["argv"])  # noqa: S606


def _make_stage(
    stage: str, clones: list[tuple[str, str, tuple[int, int] | None, bool, bool, bool]], maps: _Maps
) -> None:
    kernel.unshare("mnt")
    kernel.mount("none", "/", None, kernel.MS["private"] | kernel.MS["rec"])
    ready: list[tuple[int, str, bool]] = []
    # All sources are cloned before the stage's tmpfs may hide one of them.
    for source, target, shift, recursive, folder, resolved in clones:
        try:
            fd = kernel.bind_clone(source, recursive=recursive, resolved=resolved)
        except OSError as error:
            raise _Failure(f"cannot mount {source}: {error.strerror}", "") from error
        if shift is not None:
            _shift(fd, source, maps[shift], recursive)
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


def _make_maps(orders: Orders, maps: _Maps) -> None:
    """The user namespaces that the clones need and *maps* has not yet."""
    identity = orders["identity"]
    if identity is None:
        return
    if len(maps) > _MOST_MAPS:
        for fd in maps.values():
            os.close(fd)
        maps.clear()
    for _, _, shift, _, _, _ in orders["clones"]:
        if shift is not None and shift not in maps:
            maps[shift] = _user_namespace(*shift, identity)


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
    text = f'{{"launch-error": {quoted(message)}, "hint": {quoted(hint)}}}\n'
    os.write(status, text.encode())
