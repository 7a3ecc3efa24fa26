"""An assembler for seccomp filters: rules as data in, the bytes of a classic BPF program out.

A filter is a list of :class:`Rule` per system call interface. The program loads the architecture, jumps to that
interface's section, and goes through its rules in order; what no rule names is allowed. The order matters for
speed only (each call has one rule): the kernel keeps a bitmap of the calls that are allowed whatever their
arguments are (Linux 5.11), so only calls with a rule run through the program at all.

Arguments are compared by their low 32 bits, on purpose: flags, modes and commands are 32 bits wide in the kernel,
and comparing all 64 lets a caller hide behind bits that the kernel ignores (CVE-2019-10063, CVE-2023-28100).

Sources: seccomp(2); ``struct seccomp_data`` and ``struct sock_filter`` in linux/seccomp.h and linux/filter.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Literal, NamedTuple

from .syscalls import ARCHITECTURES, number

__all__ = ["ALLOW", "KILL_PROCESS", "Compare", "Rule", "Section", "assemble", "errno_action"]

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000

# Instruction classes, sizes and modes: linux/bpf_common.h.
LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
RETURN = 0x06  # BPF_RET | BPF_K
AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP = 0x05  # BPF_JMP | BPF_JA
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
JUMP_SET = 0x45  # BPF_JMP | BPF_JSET | BPF_K

# Offsets in struct seccomp_data {int nr; u32 arch; u64 instruction_pointer; u64 args[6];}, little-endian.
_NUMBER = 0
_ARCHITECTURE = 4
_ARGUMENTS = 16

_MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


class Compare(NamedTuple):
    """A comparison of the low 32 bits of one argument.

    ``any``: a bit of *value* is set. ``equal`` / ``unequal``: the bits under *mask* are, or are not, *value*.
    """

    argument: int
    kind: Literal["any", "equal", "unequal"]
    value: int
    mask: int = 0xFFFFFFFF


class Rule(NamedTuple):
    """What becomes of one system call: *action* when all tests of any clause hold, else it is allowed.

    No clause at all: *action* always.
    """

    name: str
    action: int
    clauses: tuple[tuple[Compare, ...], ...] = ()


class Section(NamedTuple):
    """The rules of one interface. ``unknown`` is the action for numbers above the newest one that is known."""

    architecture: str
    rules: tuple[Rule, ...]
    unknown: int


def errno_action(value: int) -> int:
    """The action that makes a call return ``-value``; 0 makes it answer success without doing anything."""
    return 0x00050000 | (value & 0xFFFF)


def assemble(sections: Sequence[Section], *, foreign: int) -> bytes:
    """The program as an array of ``struct sock_filter``; *foreign*: the action for all other interfaces.

    Raises ValueError for a program that the kernel would refuse for its length.
    """
    program: list[_Instruction] = [(LOAD, 0, 0, _ARCHITECTURE)]
    for section in sections:
        body = _section(section)
        program.append((JUMP_EQUAL, 1, 0, ARCHITECTURES[section.architecture].audit))
        program.append((JUMP, 0, 0, len(body)))
        program += body
    program.append((RETURN, 0, 0, foreign))
    if len(program) > _MOST_INSTRUCTIONS:
        raise ValueError(f"a filter of {len(program)} instructions; the kernel takes {_MOST_INSTRUCTIONS}")
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _section(section: Section) -> list[_Instruction]:
    newest = ARCHITECTURES[section.architecture].newest
    # x32 calls carry bit 30 in their number (__X32_SYSCALL_BIT) under the architecture of x86_64: they lie above
    # the newest number too.
    body: list[_Instruction] = [
        (LOAD, 0, 0, _NUMBER),
        (JUMP_GREATER, 0, 1, newest),
        (RETURN, 0, 0, section.unknown),
    ]
    for rule in section.rules:
        call = number(rule.name, section.architecture)
        if call is None:
            continue
        block = _rule(rule)
        body.append((JUMP_EQUAL, 0, len(block), call))
        body += block
    body.append((RETURN, 0, 0, ALLOW))
    return body


def _rule(rule: Rule) -> list[_Instruction]:
    if not rule.clauses:
        return [(RETURN, 0, 0, rule.action)]
    block: list[_Instruction] = []
    for clause in rule.clauses:
        block += _clause(clause, rule.action)
    block.append((RETURN, 0, 0, ALLOW))
    return block


def _clause(clause: tuple[Compare, ...], action: int) -> list[_Instruction]:
    """Tests one after the other, each jumping past the end of the clause when it does not hold."""
    code: list[_Instruction] = [(RETURN, 0, 0, action)]
    for test in reversed(clause):
        past = len(code)
        match test.kind:
            case "any":
                jump = (JUMP_SET, 0, past, test.value)
            case "equal":
                jump = (JUMP_EQUAL, 0, past, test.value)
            case "unequal":
                jump = (JUMP_EQUAL, past, 0, test.value)
        load: list[_Instruction] = [(LOAD, 0, 0, _ARGUMENTS + 8 * test.argument)]
        if test.mask != 0xFFFFFFFF:
            load.append((AND, 0, 0, test.mask))
        code = [*load, jump, *code]
    return code
