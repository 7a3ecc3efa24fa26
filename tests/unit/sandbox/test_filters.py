"""The filters, run instruction by instruction as the kernel would."""

from __future__ import annotations

import errno
import re
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import HostError
from jupyter_containers.sandbox.bpf import ALLOW, KILL_PROCESS, Compare, Rule, Section, assemble, errno_action
from jupyter_containers.sandbox.filters import filter_program
from jupyter_containers.sandbox.syscalls import ARCHITECTURES, number

REFUSED = errno_action(errno.EPERM)
ABSENT = errno_action(errno.ENOSYS)
PRETENDED = errno_action(0)
ARM = 0x40000028


def evaluate(program: bytes, audit: int, call: int, *args: int) -> int:
    """An interpreter of classic BPF, for the instructions that seccomp takes (linux/filter.h)."""
    data = struct.pack(
        "<iIQ6Q", call if call < 1 << 31 else call - (1 << 32), audit, 0, *(args + (0,) * (6 - len(args)))
    )
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at = accumulator = 0
    while True:
        operation, jump_true, jump_false, operand = code[at]
        at += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif operation == 0x54:
            accumulator &= operand
        elif operation == 0x05:
            at += operand
        elif operation == 0x06:
            return operand
        else:
            holds = {
                0x15: accumulator == operand,
                0x25: accumulator > operand,
                0x45: bool(accumulator & operand),
            }[operation]
            at += jump_true if holds else jump_false


def answer(name: str, call: str, *args: int, machine: str = "x86_64", interface: str = "") -> int:
    interface = interface or machine
    found = number(call, interface)
    assert found is not None
    return evaluate(filter_program(name, machine), ARCHITECTURES[interface].audit, found, *args)


MACHINES = ("x86_64", "aarch64")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ["container", "build"])
@pytest.mark.parametrize(
    "call",
    [
        *(
            "mount",
            "umount2",
            "pivot_root",
            "move_mount",
            "open_tree",
            "open_tree_attr",
            "fsopen",
            "mount_setattr",
        ),
        *("setns", "unshare", "sethostname", "bpf", "perf_event_open", "userfaultfd", "kcmp"),
        *("keyctl", "add_key", "request_key", "kexec_load", "init_module", "finit_module", "delete_module"),
        *(
            "swapon",
            "reboot",
            "syslog",
            "settimeofday",
            "clock_settime",
            "acct",
            "quotactl",
            "open_by_handle_at",
        ),
    ],
)
def test_dangerous_calls_are_refused(name: str, call: str, machine: str) -> None:
    assert answer(name, call, machine=machine) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ["container", "build"])
@pytest.mark.parametrize("call", ["clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"])
def test_calls_that_programs_can_do_without_do_not_exist(name: str, call: str, machine: str) -> None:
    assert answer(name, call, machine=machine) == ABSENT


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_and_forks_go_on_and_new_namespaces_do_not(machine: str) -> None:
    pthread = 0x003D0F00
    assert answer("container", "clone", pthread, machine=machine) == ALLOW
    assert answer("container", "clone", 17, machine=machine) == ALLOW  # SIGCHLD: fork
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer("container", "clone", flag | 17, machine=machine) == REFUSED
        assert answer("container", "clone", 0xABCD << 32 | flag, machine=machine) == REFUSED


CREATE, TMPFILE, READ = 0o100 | 0o1, 0o20200000, 0


@pytest.mark.parametrize("bits", [stat.S_ISUID, stat.S_ISGID, stat.S_ISUID | stat.S_ISGID])
@pytest.mark.parametrize("machine", MACHINES)
def test_no_call_gives_a_file_a_set_id_bit(machine: str, bits: int) -> None:
    mode = 0o755 | bits
    for args in (
        ("fchmod", 3, mode),
        ("fchmodat", 3, 0, mode),
        ("fchmodat2", 3, 0, mode),
        ("mknodat", 3, 0, mode),
    ):
        assert answer("container", *args, machine=machine) == REFUSED
    assert answer("container", "openat", 3, 0, CREATE, mode, machine=machine) == REFUSED
    assert answer("container", "openat", 3, 0, TMPFILE, mode, machine=machine) == REFUSED
    assert answer("container", "openat2", machine=machine) == ABSENT
    if machine == "x86_64":
        for args in (("chmod", 0, mode), ("creat", 0, mode), ("open", 0, CREATE, mode), ("mknod", 0, mode)):
            assert answer("container", *args) == REFUSED


@given(mode=st.integers(0, 0o7777), high=st.integers(0, 0xFFFFFFFF))
def test_a_mode_is_judged_by_its_set_id_bits_and_nothing_else(mode: int, high: int) -> None:
    expected = REFUSED if mode & 0o6000 else ALLOW
    assert answer("container", "chmod", 0, high << 32 | mode) == expected
    assert answer("container", "fchmodat", 3, 0, high << 32 | mode) == expected
    assert answer("container", "openat", 3, 0, CREATE, mode) == expected


@given(garbage=st.integers(0, (1 << 64) - 1))
def test_the_mode_does_not_matter_when_nothing_is_created(garbage: int) -> None:
    assert answer("container", "openat", 3, 0, READ, garbage) == ALLOW


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK])
def test_devices_are_refused_in_containers_and_pretended_in_builds(kind: int) -> None:
    assert answer("container", "mknodat", 3, 0, kind | 0o600) == REFUSED
    assert answer("container", "mknod", 0, kind | 0o600) == REFUSED
    assert answer("build", "mknodat", 3, 0, kind | 0o600) == PRETENDED


@pytest.mark.parametrize("kind", [0, stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK])
def test_pipes_sockets_and_files_are_made(kind: int) -> None:
    assert answer("container", "mknodat", 3, 0, kind | 0o600) == ALLOW
    assert answer("build", "mknodat", 3, 0, kind | 0o600) == ALLOW


@pytest.mark.parametrize(
    ("family", "allowed"),
    [(1, True), (2, True), (10, True), (16, True), (17, False), (38, False), (40, False)],
)
def test_socket_families(family: int, allowed: bool) -> None:
    assert answer("container", "socket", family, 1) == (ALLOW if allowed else errno_action(errno.EAFNOSUPPORT))


@pytest.mark.parametrize("command", [0x5412, 0x541C, 1 << 32 | 0x5412])
def test_the_terminal_cannot_be_typed_into(command: int) -> None:
    assert answer("container", "ioctl", 0, command) == REFUSED
    assert answer("container", "ioctl", 0, 0x5413) == ALLOW  # TIOCGWINSZ


def test_personalities() -> None:
    assert answer("container", "personality", 0xFFFFFFFF) == ALLOW
    assert answer("container", "personality", 0) == ALLOW
    assert answer("container", "personality", 0x0040000) == REFUSED  # ADDR_NO_RANDOMIZE


@pytest.mark.parametrize("machine", MACHINES)
def test_a_build_believes_to_be_root(machine: str) -> None:
    calls = (
        "fchown",
        "fchownat",
        "setuid",
        "setgid",
        "setresuid",
        "setgroups",
        "capset",
        "setfsuid",
        "fsync",
        "syncfs",
    )
    for call in calls:
        assert answer("build", call, 0, 0, 0, machine=machine) == PRETENDED
        assert answer("container", call, 0, 0, 0, machine=machine) == ALLOW
    assert answer("build", "fchmod", 3, 0o4755, machine=machine) == ALLOW
    assert answer("build", "openat2", machine=machine) == ALLOW


def test_other_interfaces() -> None:
    x86 = ARCHITECTURES["x86_64"].audit
    i386 = ARCHITECTURES["i386"].audit
    assert evaluate(filter_program("container", "x86_64"), i386, 1) == KILL_PROCESS
    assert evaluate(filter_program("container", "aarch64"), ARM, 1) == KILL_PROCESS
    assert evaluate(filter_program("build", "aarch64"), ARM, 1) == ALLOW
    assert answer("build", "chown32", 0, 0, 0, interface="i386") == PRETENDED
    assert answer("build", "umount", 0, interface="i386") == REFUSED
    x32 = 0x40000000
    assert evaluate(filter_program("container", "x86_64"), x86, x32 | 90, 0, 0o4755) == ABSENT  # x32 chmod
    assert evaluate(filter_program("container", "x86_64"), x86, 0xFFFFFFFF) == ABSENT


@given(call=st.integers(470, 0x7FFFFFFF))
def test_calls_newer_than_the_table_do_not_exist(call: int) -> None:
    assert evaluate(filter_program("container", "x86_64"), ARCHITECTURES["x86_64"].audit, call) == ABSENT


@pytest.mark.parametrize("call", [0, 1, 9, 39, 59, 231])  # read, write, mmap, getpid, execve, exit_group
def test_ordinary_calls_are_allowed(call: int) -> None:
    for name in ("container", "build"):
        assert evaluate(filter_program(name, "x86_64"), ARCHITECTURES["x86_64"].audit, call) == ALLOW


def test_an_unknown_machine_is_a_clear_error() -> None:
    with pytest.raises(HostError, match="riscv64"):
        filter_program("container", "riscv64")


def test_clauses_are_alternatives_and_their_tests_all_hold() -> None:
    rule = Rule("openat", REFUSED, ((Compare(0, "equal", 7), Compare(1, "unequal", 8)), (Compare(2, "any", 0b110),)))
    program = assemble([Section("x86_64", (rule,), ABSENT)], foreign=KILL_PROCESS)

    def result(*args: int) -> int:
        return evaluate(program, ARCHITECTURES["x86_64"].audit, 257, *args)

    assert result(7, 9, 0) == REFUSED
    assert result(7, 8, 0) == ALLOW
    assert result(6, 9, 0) == ALLOW
    assert result(6, 8, 0b010) == REFUSED
    assert result(6, 8, 0b001) == ALLOW


@pytest.mark.parametrize(
    ("interface", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("i386", "/usr/include/x86_64-linux-gnu/asm/unistd_32.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_numbers_are_those_of_the_kernel_headers(interface: str, header: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed (linux-libc-dev)")
    from jupyter_containers.sandbox.syscalls import _NUMBERS

    text = Path(header).read_text()
    defined = {name: int(value) for name, value in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    for name in _NUMBERS:
        if name in defined and number(name, interface) is not None:
            assert number(name, interface) == defined[name], name
