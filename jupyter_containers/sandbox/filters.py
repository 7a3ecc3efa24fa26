"""The system call filters, as tables.

``container`` follows Docker's default profile (moby, profiles/seccomp/default.json) for a process without
capabilities: what that profile refuses is refused here. Three things differ:

- What is not named is allowed, but calls that are newer than the table answer ENOSYS, as an older kernel would.
- A file can't be given a set-user-ID or set-group-ID bit, by none of the calls that take a mode. When the server
  runs as root, a file made in a mounted folder belongs to the folder's owner, who may be root: a set-user-ID file
  there would be a root shell for any user of the host. ``openat2`` has its mode in memory, where a filter can't
  look, and answers ENOSYS; programs fall back to ``openat``. io_uring, which opens files past every filter, too.
- Sockets are of the families UNIX, IPv4, IPv6 and netlink only.

``build`` lets package managers believe that they are root in a user namespace that holds a single id: changes of
owner and of identity, and device nodes, answer success and do nothing. Set-user-ID bits are allowed there, since
packages bring them; a build has no writable mounted folder and its store is private (0700).

``forkserver`` is ``container`` less the calls with which a fork makes its own namespaces (:mod:`.fork`).
"""

from __future__ import annotations

import errno
import functools
import os
import stat

from ..errors import HostError
from .bpf import ALLOW, KILL_PROCESS, Compare, Rule, Section, assemble, errno_action
from .model import FilterName
from .syscalls import ARCHITECTURES

__all__ = ["filter_program", "sections"]

_REFUSE = errno_action(errno.EPERM)
_UNKNOWN = errno_action(errno.ENOSYS)
_NO_FAMILY = errno_action(errno.EAFNOSUPPORT)
_PRETEND = errno_action(0)

_SET_ID = stat.S_ISUID | stat.S_ISGID
_CREATES = 0o100 | 0o20000000  # O_CREAT | __O_TMPFILE: only then is the mode argument read
_NEW_NAMESPACE = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}; NEWTIME is for unshare and clone3 only
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # Docker's: Linux, 32-bit, UNAME26, both, "only tell"
_TYPE = 0o170000  # S_IFMT, the file type bits of a mode
_TIOCSTI, _TIOCLINUX = (
    0x5412,
    0x541C,
)  # type into, and paste from, the terminal that is shared with the caller

_DEVICES = tuple((Compare(1, "equal", kind, _TYPE),) for kind in (stat.S_IFCHR, stat.S_IFBLK))
_DEVICES_AT = tuple((Compare(2, "equal", kind, _TYPE),) for kind in (stat.S_IFCHR, stat.S_IFBLK))

_CONDITIONAL = (
    Rule("clone", _REFUSE, ((Compare(0, "any", _NEW_NAMESPACE),),)),
    Rule("ioctl", _REFUSE, ((Compare(1, "equal", _TIOCSTI),), (Compare(1, "equal", _TIOCLINUX),))),
    Rule("socket", _NO_FAMILY, (tuple(Compare(0, "unequal", family) for family in _FAMILIES),)),
    Rule("personality", _REFUSE, (tuple(Compare(0, "unequal", value) for value in _PERSONALITIES),)),
)
"""Looked at by their arguments, in both filters."""

_FIRST = 1
_NOT_THE_FIRST = (
    Rule("ptrace", _REFUSE, ((Compare(1, "equal", _FIRST),),)),
    Rule("process_vm_readv", _REFUSE, ((Compare(0, "equal", _FIRST),),)),
    Rule("process_vm_writev", _REFUSE, ((Compare(0, "equal", _FIRST),),)),
    Rule("pidfd_open", _REFUSE, ((Compare(0, "equal", _FIRST),),)),
)
"""The first process of a sandbox runs a program of the host's and is of the same user as all others, who could trace
it. Its folder in /proc is covered (:data:`.bwrap.FIRST`); these are the ways that need no path."""

_NO_SET_ID = (
    Rule("openat", _REFUSE, ((Compare(2, "any", _CREATES), Compare(3, "any", _SET_ID)),)),
    Rule("open", _REFUSE, ((Compare(1, "any", _CREATES), Compare(2, "any", _SET_ID)),)),
    Rule("creat", _REFUSE, ((Compare(1, "any", _SET_ID),),)),
    Rule("chmod", _REFUSE, ((Compare(1, "any", _SET_ID),),)),
    Rule("fchmod", _REFUSE, ((Compare(1, "any", _SET_ID),),)),
    Rule("fchmodat", _REFUSE, ((Compare(2, "any", _SET_ID),),)),
    Rule("fchmodat2", _REFUSE, ((Compare(2, "any", _SET_ID),),)),
    Rule("mknod", _REFUSE, ((Compare(1, "any", _SET_ID),), *_DEVICES)),
    Rule("mknodat", _REFUSE, ((Compare(2, "any", _SET_ID),), *_DEVICES_AT)),
    Rule("openat2", _UNKNOWN),
)
# mkdir is not among them: the kernel itself takes these bits off a new folder's mode (vfs_mkdir).

_ROOT_EMULATION = (
    Rule("mknod", _PRETEND, _DEVICES),
    Rule("mknodat", _PRETEND, _DEVICES_AT),
    *(
        Rule(name, _PRETEND)
        for name in (
            *("chown", "lchown", "fchown", "fchownat", "chown32", "lchown32", "fchown32"),
            *("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid"),
            *("setuid32", "setgid32", "setreuid32", "setregid32", "setresuid32", "setresgid32"),
            *("setfsuid32", "setfsgid32", "setgroups", "setgroups32", "capset"),
            # A layer is synced once, when it is committed; dpkg's syncs after each file take seconds.
            *("fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "msync"),
        )
    ),
)

_REFUSED = {
    # symptom for a program: EPERM, as without the capability
    "accounting and quotas": ("acct", "quotactl", "quotactl_fd"),
    "clock": ("clock_settime", "clock_settime64", "settimeofday", "stime"),
    "file handles": ("open_by_handle_at", "lookup_dcookie", "fanotify_init"),
    "kernel keyrings, which are not namespaced": ("add_key", "keyctl", "request_key"),
    "kernel modules": (
        "create_module",
        "delete_module",
        "finit_module",
        "get_kernel_syms",
        "init_module",
        "query_module",
    ),
    "loading of other kernels": ("kexec_file_load", "kexec_load", "reboot"),
    "memory policy of other processes": (
        *(
            "get_mempolicy",
            "mbind",
            "migrate_pages",
            "move_pages",
            "set_mempolicy",
            "set_mempolicy_home_node",
        ),
    ),
    "mounts": (
        *("fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree"),
        *("open_tree_attr", "pivot_root", "umount", "umount2"),
    ),
    "namespaces": ("setdomainname", "sethostname", "setns", "unshare"),
    "old and unused": ("_sysctl", "nfsservctl", "sysfs", "uselib", "ustat", "vm86", "vm86old"),
    "ports": ("ioperm", "iopl"),
    "swap": ("swapoff", "swapon"),
    "the kernel's log, and terminals": ("syslog", "vhangup"),
    "tracing of the kernel": ("bpf", "kcmp", "perf_event_open", "userfaultfd"),
}

_OF_FORKS = frozenset({"mount", "move_mount", "pivot_root", "sethostname", "umount2", "unshare"})
"""What a fork makes its namespaces and mounts with, before it has the filter of every container."""

_ABSENT = ("clone3", "io_uring_enter", "io_uring_register", "io_uring_setup")
"""ENOSYS: programs know how to go on without them (glibc: clone3 → clone; libuv: io_uring → threads)."""


def sections(name: FilterName, architecture: str) -> tuple[Section, ...]:
    """The rules of a filter for a machine: its own interface, and for builds the 32-bit one of the same table."""
    common = (
        *_NOT_THE_FIRST,
        *(Rule(call, _UNKNOWN) for call in _ABSENT),
        *(Rule(call, _REFUSE) for group in _REFUSED.values() for call in group),
    )
    if name == "container":
        return (Section(architecture, (*_NO_SET_ID, *_CONDITIONAL, *common), _UNKNOWN),)
    if name == "forkserver":
        rules = tuple(rule for rule in (*_NO_SET_ID, *_CONDITIONAL, *common) if rule.name not in _OF_FORKS)
        return (Section(architecture, rules, _UNKNOWN),)
    rules = (*_ROOT_EMULATION, *_CONDITIONAL, *common)
    compat = ARCHITECTURES[architecture].compat
    names = (architecture, compat) if compat in ARCHITECTURES else (architecture,)
    return tuple(Section(each, rules, _UNKNOWN) for each in names)


@functools.cache
def filter_program(name: FilterName, architecture: str = "") -> bytes:
    """The assembled filter for a machine as ``uname -m`` names it; empty: this one.

    Interfaces without a table kill the process in a container (32-bit programs on a 64-bit machine: SIGSYS, exit
    status 159) and are let through in a build. Raises HostError for a machine without a table.
    """
    machine = architecture or os.uname().machine
    if machine not in ARCHITECTURES or machine == "i386":
        known = ", ".join(each for each in ARCHITECTURES if each != "i386")
        raise HostError(f"no system call filter for the architecture {machine}", hint=f"use a machine of: {known}")
    return assemble(sections(name, machine), foreign=ALLOW if name == "build" else KILL_PROCESS)
