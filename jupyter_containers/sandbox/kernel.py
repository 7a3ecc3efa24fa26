"""The few system calls that Python has no name for, through libc, with errors as OSError.

Flags are named as in the man pages: mount(2), open_tree(2), mount_setattr(2), clone3(2), setns(2), prctl(2),
ioctl_nsfs(2).
"""

from __future__ import annotations

import ctypes
import os
import struct

from .sources import open_linkless

__all__ = [
    "NAMESPACES",
    "adopt_orphans",
    "bind_clone",
    "bring_loopback_up",
    "drop_capabilities",
    "enter_root",
    "forbid_new_privileges",
    "fork_sibling",
    "hide_from_tracers",
    "install_filter",
    "join_namespace",
    "keep_mounts_apart",
    "map_ids",
    "mount",
    "move_mount",
    "own_files",
    "owning_user_namespace",
    "set_hostname",
    "set_mount_attributes",
    "set_parent_death_signal",
    "unmount",
    "unshare",
]

NAMESPACES = {
    "mnt": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
"""CLONE_NEW* by the name in /proc/PID/ns."""

MS = {
    "rdonly": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "remount": 1 << 5, "bind": 1 << 12, "rec": 1 << 14,
    "private": 1 << 18,
}  # fmt: skip
MOUNT_ATTR = {"rdonly": 0x1, "nosuid": 0x2, "nodev": 0x4, "idmap": 0x00100000}

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
# One number on every architecture (asm-generic).
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_CLONE3, _SYS_MOUNT_SETATTR = 428, 429, 435, 442

_MNT_DETACH = 2
_AF_UNIX, _SOCK_DGRAM, _SIOCSIFFLAGS, _IFF_UP = 1, 2, 0x8914, 1

_CLONE_PARENT, _CLONE_INTO_CGROUP = 0x8000, 0x200000000

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 4, 22, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_NS_GET_USERNS = 0xB701

SIGKILL = 9  # the module signal costs 3 ms at every start (it imports enum)

_libc = ctypes.CDLL(None, use_errno=True)
_libc_locked = ctypes.PyDLL(None, use_errno=True)
"""Calls that do not let the interpreter's lock go: in a child of :func:`fork_sibling` nobody would give it back."""


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def unshare(*names: str) -> None:
    flags = 0
    for name in names:
        flags |= NAMESPACES[name]
    _checked(_libc.unshare(flags), f"unshare {' '.join(names)}")


def fork_sibling(*, cgroup: int = -1) -> int:
    """fork(2), but the child's parent is this process's own parent: who waits for it, and whose end it may share.

    Returns 0 in the child. For a process with one thread, whose child executes a program and nothing else (libc does
    not learn of it). *cgroup*: a descriptor of the v2 control group that it starts in, which costs nothing, where a
    later move waits for a grace period of RCU.
    """
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal (that of this process), stack, stack_size,
    # tls, set_tid, set_tid_size, cgroup
    flags = _CLONE_PARENT | (_CLONE_INTO_CGROUP if cgroup >= 0 else 0)
    record = struct.pack("11Q", flags, *[0] * 9, max(cgroup, 0))
    result = _libc_locked.syscall(_SYS_CLONE3, record, ctypes.c_size_t(len(record)))
    return _checked(result, "clone3")


def join_namespace(fd: int, name: str) -> None:
    _checked(_libc.setns(fd, NAMESPACES[name]), f"setns {name}")


def bring_loopback_up() -> None:
    """netdevice(7): with it come its addresses, 127.0.0.1/8 and ::1."""
    fd = _checked(_libc.socket(_AF_UNIX, _SOCK_DGRAM | os.O_CLOEXEC, 0), "socket")
    try:
        request = struct.pack("16sh22x", b"lo", _IFF_UP)  # struct ifreq
        _checked(_libc.ioctl(fd, ctypes.c_ulong(_SIOCSIFFLAGS), request), "SIOCSIFFLAGS")
    finally:
        os.close(fd)


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    _checked(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            None if kind is None else kind.encode(),
            ctypes.c_ulong(flags),
            None if data is None else data.encode(),
        ),
        target,
    )


def unmount(target: str) -> None:
    """And all that is mounted below it, once nobody uses it any more (MNT_DETACH)."""
    _checked(_libc.umount2(os.fsencode(target), _MNT_DETACH), target)


def keep_mounts_apart() -> None:
    """In a mount namespace that is a copy: what is mounted in it, or in the one before, does not reach the other."""
    mount("none", "/", None, MS["private"] | MS["rec"])


def enter_root(folder: str) -> None:
    """Make the mount at *folder* the root, and the only one there is (pivot_root(2), "pivot_root(".", ".")")."""
    os.chdir(folder)
    _checked(_libc.pivot_root(b".", b"."), folder)
    unmount(".")  # the old root, which now lies over the new one
    os.chdir("/")


def map_ids(uid: int, gid: int) -> None:
    """In a user namespace that this process has just made: be *uid* and *gid*, as before (user_namespaces(7))."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        file = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(file, text.encode())
        os.close(file)


def bind_clone(source: str, *, recursive: bool, resolved: bool = False) -> int:
    """A descriptor of a detached copy of the mount at *source*, seen from *source* down.

    *resolved*: no link may be on the way (:mod:`.sources`).
    """
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    if not resolved:
        return _checked(_libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, os.fsencode(source), ctypes.c_uint(flags)), source)
    fd = open_linkless(source)
    try:
        return _checked(_libc.syscall(_SYS_OPEN_TREE, fd, b"", ctypes.c_uint(flags | _AT_EMPTY_PATH)), source)
    finally:
        os.close(fd)


def set_mount_attributes(fd: int, attributes: int, *, user_namespace: int = 0, recursive: bool, what: str) -> None:
    """``struct mount_attr {attr_set, attr_clr, propagation, userns_fd}``."""
    record = struct.pack("QQQQ", attributes, 0, 0, user_namespace)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _checked(_libc.syscall(_SYS_MOUNT_SETATTR, fd, b"", ctypes.c_uint(flags), record, ctypes.c_size_t(32)), what)


def move_mount(fd: int, target: str) -> None:
    _checked(
        _libc.syscall(_SYS_MOVE_MOUNT, fd, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH),
        target,
    )


def owning_user_namespace(fd: int) -> int:
    """A descriptor of the user namespace that owns the namespace *fd*."""
    return _checked(_libc.ioctl(fd, ctypes.c_ulong(_NS_GET_USERNS)), "NS_GET_USERNS")


def _prctl(option: int, value: int | ctypes.c_char_p = 0, third: object = 0) -> None:
    first = ctypes.c_ulong(value) if isinstance(value, int) else value
    _checked(_libc.prctl(option, first, third, 0, 0), f"prctl {option}")


def set_parent_death_signal(number: int) -> None:
    """Lost at every change of uid or gid: set it last."""
    _prctl(_PR_SET_PDEATHSIG, number)


def hide_from_tracers() -> None:
    _prctl(_PR_SET_DUMPABLE, 0)


def own_files() -> None:
    """After a change of uid: let what /proc has of this process be this process's again (proc_pid(5))."""
    _prctl(_PR_SET_DUMPABLE, 1)


def adopt_orphans() -> None:
    """Be the parent of what descendants leave behind (PR_SET_CHILD_SUBREAPER)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_hostname(name: str) -> None:
    data = os.fsencode(name)
    _checked(_libc.sethostname(data, ctypes.c_size_t(len(data))), "sethostname")


def forbid_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install_filter(program: bytes) -> None:
    """The seccomp filter for this process and all that comes of it; needs :func:`forbid_new_privileges` first."""
    record = _Program(len(program) // 8, program)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(record))


def drop_capabilities() -> None:
    """Empty all five sets: ambient, bounding, inheritable, permitted, effective."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            break  # EINVAL: past the kernel's last capability
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, bytes(24)), "capset")
