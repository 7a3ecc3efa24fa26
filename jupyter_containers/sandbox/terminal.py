"""A command with a terminal of its own.

The terminal's keys (Ctrl-C) reach every process of the foreground group. bwrap's monitor would be one of them and
would die of it, and the sandbox with it. So the command needs a session that bwrap is not in, with the terminal as
its controlling one (setsid(2), ioctl_tty(2)), and it must be made inside, after bwrap's last fork. No image can be
counted on to have a program for that (util-linux's ``setsid --ctty``): this is one of 157 (x86-64) or 168 bytes.

It is called as ``program candidate… "" argv…``: makes the session, takes standard input as its terminal, executes
the first candidate path that can be executed with ``argv…`` and its own environment, and ends with
:data:`NOT_EXECUTED` when none can.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..errors import HostError
from .elf import executable

__all__ = ["NAME", "NOT_EXECUTED", "PATH", "command", "program"]

NAME = "jc-terminal"
PATH = f"/run/{NAME}"
"""Where it lies in the sandbox."""
NOT_EXECUTED = 254

_CODE = {
    # ELF machine, and the assembled lines: arguments are found from the stack pointer at the start of the program
    # (System V ABI: argc, argv…, NULL, envp…).
    "x86_64": (
        62,
        "4889e3"  # mov rbx, rsp
        "b870000000 0f05"  # setsid()
        "31ff be0e540000 31d2 b810000000 0f05"  # ioctl(0, TIOCSCTTY, 0)
        "488b03 488d6cc310"  # rax = argc; rbp = envp
        "4883c310 4989dc"  # rbx = r12 = &argv[1]
        "498b3c24 4983c408 803f00 75f3"  # r12 past the empty string: the command's argv
        "488b3b 4883c308 803f00 740f"  # the next candidate; the empty string: none is left
        "4c89e6 4889ea b83b000000 0f05"  # execve(candidate, r12, rbp)
        "ebe5"
        "bffe000000 b83c000000 0f05",  # exit(254)
    ),
    "aarch64": (
        183,
        "f3030091"  # mov x19, sp
        "a81380d2 010000d4"  # setsid()
        "000080d2 c1818ad2 020080d2 a80380d2 010000d4"  # ioctl(0, TIOCSCTTY, 0)
        "600240f9 74420091 950e008b"  # x0 = argc; x20 = &argv[1]; x21 = envp
        "f60314aa"  # x22 = x20
        "c08640f8 01004039 c1ffff35"  # x22 past the empty string
        "808640f8 01004039 c1000034"  # the next candidate
        "e10316aa e20315aa a81b80d2 010000d4"  # execve(candidate, x22, x21)
        "f9ffff17"
        "c01f80d2 a80b80d2 010000d4",  # exit(254)
    ),
}


def program(machine: str = "") -> bytes:
    """The ELF file for a machine as ``uname -m`` names it; empty: this one. HostError where there is none."""
    name = machine or os.uname().machine
    if name not in _CODE:
        raise HostError(f"no terminal program for the architecture {name}", hint="run it without a terminal (no -t)")
    number, text = _CODE[name]
    return executable(number, text)


def command(argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The argument vector that runs *argv* through the program, looked up in *env*'s PATH as execvp(3) does."""
    name = argv[0]
    if "/" in name:
        candidates = [name]
    else:
        candidates = [f"{folder or '.'}/{name}" for folder in env.get("PATH", "/bin:/usr/bin").split(":")]
    return [PATH, *candidates, "", *argv]
