"""Keep the memory of a process shared with its forks: what is alive now is never written to again.

A page that two processes share is copied when one writes to it. CPython writes to an object whenever it is looked at
(it counts references), unless the object is *immortal* (PEP 683, CPython 3.12): so what is alive before the fork is
made so. And new objects would go into what is free between the old ones: that is taken before the fork, so that they go
to pages of their own, close together. What is written to all the same, the code that forks run, is moved to one place
(:mod:`.code`).

Sources: PEP 683; Include/internal/pycore_object.h and Include/refcount.h of CPython 3.12 to 3.14 (the count is the
lower 32 bits of an object's first word there); Objects/obmalloc.c and Include/internal/pycore_obmalloc.h (pools);
malloc/malloc.c of glibc (a chunk comes from the top of the heap when no free one is large enough).
"""

from __future__ import annotations

import ctypes
import gc
import sys
import types
from collections.abc import Callable, Collection
from functools import lru_cache

from .code import gather

__all__ = ["settle"]

_IMMORTAL = {(3, 12): 0xFFFFFFFF, (3, 13): 0xFFFFFFFF, (3, 14): 3 << 30}
"""The count of an immortal object, by CPython's version (``_Py_IMMORTAL_REFCNT``, ``_Py_IMMORTAL_INITIAL_REFCNT``)."""

_CONTAINERS = (dict, list, tuple, set, frozenset, types.FunctionType, types.CellType, types.MethodType, property,
               classmethod, staticmethod, types.MappingProxyType)  # fmt: skip
"""What is looked into. Objects of C modules are not: some have freed objects on lists of their own."""
_MOVING = (types.FrameType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
_TRAVERSE = 23 * ctypes.sizeof(ctypes.c_size_t)
"""Where a type has its ``tp_traverse`` (Include/cpython/object.h)."""
_POOL, _POOL_HEADER, _ALIGNMENT, _LARGEST_BLOCK = 1 << 14, 48, 16, 512
"""Bytes: pymalloc cuts pools into blocks of one size."""
_LARGEST_CHUNK, _CHUNK_HEADER, _SMALLEST_CHUNK = 1 << 16, 8, 24
_MOST_OF_A_SIZE = 50_000
_taken: list[object] = []
_CODE = ("co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_filename", "co_name", "co_qualname",
         "co_linetable", "co_exceptiontable")  # fmt: skip


def settle(written: Collection[int] = ()) -> bool:
    """Collect garbage, and see to it that what is left stays shared; False where that is not known to work.

    *written*: the ids of code that forks are going to run.
    """
    for _ in range(3):
        gc.collect()
    value = _IMMORTAL.get(sys.version_info[:2])
    known = value is not None and sys.implementation.name == "cpython" and not _is_free_threaded()
    if value is not None and known:
        _make_immortal(value)
        _number_types()
        _clear_caches()
        gc.unfreeze()  # the collector sets aside what is immortal
        _take_blocks()
        _take_chunks()
        gather(written, value)
    gc.freeze()
    return known


def _is_free_threaded() -> bool:
    check = getattr(sys, "_is_gil_enabled", None)
    return check is not None and not check()


def _make_immortal(value: int) -> None:
    waiting: list[object] = [each for each in gc.get_objects() if not isinstance(each, _MOVING)]
    own = id(waiting)
    count = ctypes.c_uint32
    is_plain: Callable[[type], bool] = lru_cache(None)(_is_plain)
    while waiting:
        each = waiting.pop()
        found = count.from_address(id(each))
        if found.value == value or id(each) == own:
            continue  # seen; a set of those would leave its memory behind, in pieces
        found.value = value
        kind = type(each)
        if kind is str:
            hash(each)  # is kept in it
        elif kind is types.CodeType:
            waiting += [getattr(each, name) for name in _CODE]
        elif kind in _CONTAINERS or is_plain(kind):
            waiting += gc.get_referents(each)


class _Plain:
    pass


def _traverses(kind: type) -> int:
    """The function with which a type's objects tell what they refer to (``tp_traverse``, PEP 3123)."""
    return ctypes.c_size_t.from_address(id(kind) + _TRAVERSE).value


def _is_plain(kind: type) -> bool:
    """Whether it is a class of Python code, and has only such for its bases."""
    return all(each is object or _traverses(each) == _traverses(_Plain) for each in kind.__mro__)


def _number_types() -> None:
    """Each class gets its version now, which it would get when an attribute of it is first looked for."""
    for each in gc.get_objects():
        if isinstance(each, type):
            try:  # noqa: SIM105
                type.__getattribute__(each, "no_such_attribute")
            except AttributeError:
                pass


def _clear_caches() -> None:
    """Free what is kept in case that it is wanted: forks would free it one by one, all over the place."""
    clear = getattr(sys, "_clear_type_cache", None)
    if clear is not None:
        clear()
    gc.collect()  # clears the lists of freed objects, too


def _take_chunks() -> None:
    """Take what malloc(3) has free below the top of the heap, from large to small."""
    allocate = ctypes.CDLL(None).malloc
    allocate.restype, allocate.argtypes = ctypes.c_size_t, [ctypes.c_size_t]
    top = allocate(_LARGEST_CHUNK)
    size = _LARGEST_CHUNK
    while size >= _SMALLEST_CHUNK:
        above = 0
        for _ in range(_MOST_OF_A_SIZE):
            above = above + 1 if allocate(size - _CHUNK_HEADER) > top else 0
            if above == 2:
                break
        size -= _ALIGNMENT if size <= 1024 else size // 16


def _take_blocks() -> None:
    """Take the free blocks of all pools of pymalloc that are in use: when a new pool is begun, none was left."""
    empty = sys.getsizeof(b"")
    for size in range(2 * _ALIGNMENT, _LARGEST_BLOCK + 1, _ALIGNMENT):
        before = row = 0
        for number in range(_MOST_OF_A_SIZE):
            block: object = bytes(size - empty) if size > empty else (1 << 20) + number
            _taken.append(block)
            row = row + 1 if id(block) - before == size else 0
            before = id(block)
            if row >= 3 and before % _POOL == _POOL_HEADER + 3 * size:
                break
