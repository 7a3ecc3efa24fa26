"""System call numbers: a table for the calls that :mod:`.filters` and :mod:`.kernel` name.

Source: ``arch/x86/entry/syscalls/syscall_{64,32}.tbl`` and ``include/uapi/asm-generic/unistd.h`` of Linux 6.18.
None: the architecture has no such call.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ARCHITECTURES", "Architecture", "number"]


class Architecture(NamedTuple):
    """One system call interface, as seccomp tells them apart."""

    name: str
    audit: int
    """AUDIT_ARCH_* of linux/audit.h: ELF machine | 64-bit flag | little-endian flag."""
    newest: int
    """The highest number of Linux 6.18; what lies above is unknown to the filters."""
    compat: str = ""
    """The 32-bit interface that the same kernel may serve."""


ARCHITECTURES = {
    "x86_64": Architecture("x86_64", 0xC000003E, 469, compat="i386"),
    "i386": Architecture("i386", 0x40000003, 469),
    "aarch64": Architecture("aarch64", 0xC00000B7, 469, compat="arm"),
}

_COLUMNS = ("x86_64", "i386", "aarch64")

_NUMBERS: dict[str, tuple[int | None, int | None, int | None]] = {
    "_sysctl": (156, 149, None),
    "acct": (163, 51, 89),
    "add_key": (248, 286, 217),
    "bpf": (321, 357, 280),
    "capset": (126, 185, 91),
    "chmod": (90, 15, None),
    "chown": (92, 182, None),
    "chown32": (None, 212, None),
    "clock_settime": (227, 264, 112),
    "clock_settime64": (None, 404, None),
    "clone": (56, 120, 220),
    "clone3": (435, 435, 435),
    "creat": (85, 8, None),
    "create_module": (174, 127, None),
    "delete_module": (176, 129, 106),
    "fanotify_init": (300, 338, 262),
    "fchmod": (91, 94, 52),
    "fchmodat": (268, 306, 53),
    "fchmodat2": (452, 452, 452),
    "fchown": (93, 95, 55),
    "fchown32": (None, 207, None),
    "fchownat": (260, 298, 54),
    "fdatasync": (75, 148, 83),
    "finit_module": (313, 350, 273),
    "fsconfig": (431, 431, 431),
    "fsmount": (432, 432, 432),
    "fsopen": (430, 430, 430),
    "fspick": (433, 433, 433),
    "fsync": (74, 118, 82),
    "get_kernel_syms": (177, 130, None),
    "get_mempolicy": (239, 275, 236),
    "init_module": (175, 128, 105),
    "io_uring_enter": (426, 426, 426),
    "io_uring_register": (427, 427, 427),
    "io_uring_setup": (425, 425, 425),
    "ioctl": (16, 54, 29),
    "ioperm": (173, 101, None),
    "iopl": (172, 110, None),
    "kcmp": (312, 349, 272),
    "kexec_file_load": (320, None, 294),
    "kexec_load": (246, 283, 104),
    "keyctl": (250, 288, 219),
    "lchown": (94, 16, None),
    "lchown32": (None, 198, None),
    "lookup_dcookie": (212, 253, 18),
    "mbind": (237, 274, 235),
    "migrate_pages": (256, 294, 238),
    "mknod": (133, 14, None),
    "mknodat": (259, 297, 33),
    "mount": (165, 21, 40),
    "mount_setattr": (442, 442, 442),
    "move_mount": (429, 429, 429),
    "move_pages": (279, 317, 239),
    "msync": (26, 144, 227),
    "nfsservctl": (180, 169, 42),
    "open": (2, 5, None),
    "open_by_handle_at": (304, 342, 265),
    "open_tree": (428, 428, 428),
    "open_tree_attr": (467, 467, 467),
    "openat": (257, 295, 56),
    "openat2": (437, 437, 437),
    "perf_event_open": (298, 336, 241),
    "personality": (135, 136, 92),
    "pidfd_open": (434, 434, 434),
    "pivot_root": (155, 217, 41),
    "process_vm_readv": (310, 347, 270),
    "process_vm_writev": (311, 348, 271),
    "ptrace": (101, 26, 117),
    "query_module": (178, 167, None),
    "quotactl": (179, 131, 60),
    "quotactl_fd": (443, 443, 443),
    "reboot": (169, 88, 142),
    "request_key": (249, 287, 218),
    "set_mempolicy": (238, 276, 237),
    "set_mempolicy_home_node": (450, 450, 450),
    "setdomainname": (171, 121, 162),
    "setfsgid": (123, 139, 152),
    "setfsgid32": (None, 216, None),
    "setfsuid": (122, 138, 151),
    "setfsuid32": (None, 215, None),
    "setgid": (106, 46, 144),
    "setgid32": (None, 214, None),
    "setgroups": (116, 81, 159),
    "setgroups32": (None, 206, None),
    "sethostname": (170, 74, 161),
    "setns": (308, 346, 268),
    "setregid": (114, 71, 143),
    "setregid32": (None, 204, None),
    "setresgid": (119, 170, 149),
    "setresgid32": (None, 210, None),
    "setresuid": (117, 164, 147),
    "setresuid32": (None, 208, None),
    "setreuid": (113, 70, 145),
    "setreuid32": (None, 203, None),
    "settimeofday": (164, 79, 170),
    "setuid": (105, 23, 146),
    "setuid32": (None, 213, None),
    "socket": (41, 359, 198),
    "stime": (None, 25, None),
    "swapoff": (168, 115, 225),
    "swapon": (167, 87, 224),
    "sync": (162, 36, 81),
    "sync_file_range": (277, 314, 84),
    "syncfs": (306, 344, 267),
    "sysfs": (139, 135, None),
    "syslog": (103, 103, 116),
    "umount": (None, 22, None),
    "umount2": (166, 52, 39),
    "unshare": (272, 310, 97),
    "uselib": (134, 86, None),
    "userfaultfd": (323, 374, 282),
    "ustat": (136, 62, None),
    "vhangup": (153, 111, 58),
    "vm86": (None, 166, None),
    "vm86old": (None, 113, None),
}


def number(name: str, architecture: str) -> int | None:
    """The number of a system call, or None where *architecture* has none. KeyError: not in the table."""
    return _NUMBERS[name][_COLUMNS.index(architecture)]
