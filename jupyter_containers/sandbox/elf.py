"""Programs of a few instructions as ELF files, for places where an image can't be counted on to have one (elf(5))."""

from __future__ import annotations

import struct

__all__ = ["executable"]

_BASE = 0x400000
_HEADERS = 64 + 56


def executable(machine: int, code: str) -> bytes:
    """The file for an ELF *machine*, with *code* as hexadecimal digits: its first instruction is where it begins."""
    text = bytes.fromhex(code)
    size = _HEADERS + len(text)
    # 64-bit, little-endian, version 1; ET_EXEC; one program header: PT_LOAD, readable and executable.
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01", 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 64, 0, 0,
    )  # fmt: skip
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + text
