"""The first process of a fork, once the sandbox is made: it waits for the command, and tells how that has ended.

As long as it is the interpreter that made the sandbox it takes memory for that, 1.2 MiB with the kernel's own for its
pages and mappings. So it becomes a program of 202 (x86-64) or 216 bytes, and does the same itself only where it can't:
another architecture, or a host that executes no memory files (``vm.memfd_noexec``).
"""

from __future__ import annotations

import fcntl
import os

from ..elf import executable
from ..passing import Socket

__all__ = ["COMMAND", "make_program", "wait"]

COMMAND = 2
"""The command's number in the container: the first that a first process makes."""
_CHANNEL = 3
_APART = 64
"""The lowest descriptor of the program itself, out of the way of those that have a number to be."""

_CODE = {
    # ELF machine, and the assembled lines.
    "x86_64": (
        62,
        "4883ec10"  # room for 16 bytes
        "4883cfff 488d742404 31d2 4531d2 b83d000000 0f05"  # rax = wait4(-1, &room[4], 0, NULL)
        "83f802 7410"  # the command: it is over
        "85c0 79e2 83f8fc 74dd"  # another, or EINTR: wait on
        "bf7d000000 eb1d"  # exit(125)
        "c64424033d"  # room[3] = '='
        "bf03000000 488d742403 ba05000000 b801000000 0f05"  # write(3, &room[3], 5)
        "31ff b8e7000000 0f05",  # exit_group(0)
    ),
    "aarch64": (
        183,
        "ff4300d1"  # room for 16 bytes
        "00008092 e1130091 020080d2 030080d2 882080d2 010000d4"  # x0 = wait4(-1, &room[4], 0, NULL)
        "1f080071 c0000054"  # the command: it is over
        "00ffff36 1f100031 c0feff54"  # another, or EINTR: wait on
        "a00f80d2 09000014"  # exit(125)
        "a9078052 e90f0039"  # room[3] = '='
        "600080d2 e10f0091 a20080d2 080880d2 010000d4"  # write(3, &room[3], 5)
        "000080d2 c80b80d2 010000d4",  # exit_group(0)
    ),
}
_MFD_EXEC = 0x10
"""Linux 6.3; before, every memory file can be executed."""


def make_program() -> int:
    """A descriptor of the program, for all forks; -1: this host, or this architecture, has none."""
    found = _CODE.get(os.uname().machine)
    if found is None:
        return -1
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        try:
            fd = os.memfd_create("init", flags | _MFD_EXEC)
        except OSError:
            fd = os.memfd_create("init", flags)
    except OSError:
        return -1
    os.write(fd, executable(*found))
    fd, low = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _APART), fd
    os.close(low)
    # A container sees it as /proc/1/exe, and it is that of the others as well.
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def wait(channel: Socket, child: int, program: int) -> None:
    """Wait for *child*, reap whatever else ends, and tell *channel* the status of wait(2): ``=`` and four bytes, in
    the byte order of the host. Never returns. *program*: :func:`make_program`.
    """
    if program >= 0 and child == COMMAND:
        try:
            if channel.fileno() == _CHANNEL:
                os.set_inheritable(_CHANNEL, True)
            else:
                os.dup2(channel.fileno(), _CHANNEL)
            os.execve(program, ["init"], {})  # noqa: S606
        except OSError:
            pass
    while True:
        pid, status = os.wait()
        if pid == child:
            try:  # noqa: SIM105
                channel.send(b"=" + status.to_bytes(4, "little"))
            except OSError:
                pass  # nobody wants to know
            os._exit(0)
