"""Code that forks are going to run, moved close together before they are made.

CPython writes to a function's code when it runs it (PEP 659: counters and caches lie between the instructions), so that
every function which a fork is the first to call costs it a page of its own, 4 KiB for some 300 bytes. Those functions
are known, for a child has rehearsed; their code is copied to one place, and what leads to it is told the new one.

Sources: PEP 659; Include/cpython/funcobject.h and tupleobject.h of CPython 3.12 to 3.14. What leads to code is written
to behind the interpreter's back: to set ``__code__`` would take away a function's version, and its quick calls with it.
"""

from __future__ import annotations

import ctypes
import gc
import types
from collections.abc import Collection, Iterator
from typing import Any

__all__ = ["find_written", "gather", "read_all"]

_OWN = __file__.rpartition("/sandbox/")[0] + "/"
"""Files of this program: what runs between the fork and the command is not rehearsed."""


def read_all() -> dict[int, bytes]:
    """The instructions of all code that a function or other code leads to, by its id, as they are now."""
    return {id(code): _instructions(code) for code, _ in _walk()}


def find_written(before: dict[int, bytes]) -> list[int]:
    """Of what :func:`read_all` has found, in this process or in the one that it is a fork of: what was written to."""
    return [id(code) for code, _ in _walk() if before.get(id(code), text := _instructions(code)) != text]


def gather(written: Collection[int], immortal: int) -> int:
    """Move the code with these ids, and that of this program; the copies get the count *immortal*. How many they are.

    An id that is no code's is passed over. Whatever leads to code has to be immortal already: nothing is counted here.
    """
    wanted, moved = frozenset(written), dict[int, Any]()
    for code, place in list(_walk()):
        if id(code) not in wanted and not code.co_filename.startswith(_OWN):
            continue
        copy = moved.get(id(code))
        if copy is None:
            copy = moved[id(code)] = code.replace()
            ctypes.c_uint32.from_address(id(copy)).value = immortal
        ctypes.c_size_t.from_address(place).value = id(copy)
    return len(moved)


def _instructions(code: Any) -> bytes:
    return bytes(code._co_code_adaptive)


def _walk() -> Iterator[tuple[types.CodeType, int]]:
    """Code, and the address of a pointer to it; one that several lead to comes several times."""
    in_function, in_tuple = _find_offsets()
    seen: set[int] = set()
    waiting: list[types.CodeType] = []
    for each in gc.get_objects():
        if type(each) is types.FunctionType:
            yield each.__code__, id(each) + in_function
            waiting.append(each.__code__)
    while waiting:
        code = waiting.pop()
        if id(code) in seen:
            continue
        seen.add(id(code))
        for number, constant in enumerate(code.co_consts):
            if type(constant) is types.CodeType:
                yield constant, id(code.co_consts) + in_tuple + number * ctypes.sizeof(ctypes.c_size_t)
                waiting.append(constant)


def _find_offsets() -> tuple[int, int]:
    """Where a function has the pointer to its code, and a tuple that to its first item."""
    word = ctypes.sizeof(ctypes.c_size_t)
    sample = _find_offsets
    for offset in range(2 * word, types.FunctionType.__basicsize__, word):
        if ctypes.c_size_t.from_address(id(sample) + offset).value == id(sample.__code__):
            return offset, tuple.__basicsize__
    raise RuntimeError("a function does not point to its code")
