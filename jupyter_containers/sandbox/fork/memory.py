"""Keep the memory of a process shared with its forks: what is alive now is never written to again.

A page that two processes share is copied when one writes to it. CPython writes to an object whenever it is looked at
(it counts references), unless the object is *immortal* (PEP 683, CPython 3.12): so what is alive before the fork is
made so.

Sources: PEP 683; Include/internal/pycore_object.h and Include/refcount.h of CPython 3.12 to 3.14 (the count is the
lower 32 bits of an object's first word there).
"""

from __future__ import annotations

import ctypes
import gc
import sys
import types

__all__ = ["settle"]

_IMMORTAL = {(3, 12): 0xFFFFFFFF, (3, 13): 0xFFFFFFFF, (3, 14): 3 << 30}
"""The count of an immortal object, by CPython's version (``_Py_IMMORTAL_REFCNT``, ``_Py_IMMORTAL_INITIAL_REFCNT``)."""

_CONTAINERS = (dict, list, tuple, set, frozenset, types.FunctionType, types.CellType, types.MethodType, property,
               classmethod, staticmethod, types.MappingProxyType)  # fmt: skip
"""What is looked into. Objects of C modules are not: some have freed objects on lists of their own."""
_MOVING = (types.FrameType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
_CODE = ("co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_filename", "co_name", "co_qualname",
         "co_linetable", "co_exceptiontable")  # fmt: skip


def settle() -> bool:
    """Collect garbage, and see to it that what is left stays shared; False where that is not known to work."""
    for _ in range(3):
        gc.collect()
    value = _IMMORTAL.get(sys.version_info[:2])
    known = value is not None and sys.implementation.name == "cpython" and not _is_free_threaded()
    if value is not None and known:
        _make_immortal(value)
    gc.freeze()
    return known


def _is_free_threaded() -> bool:
    check = getattr(sys, "_is_gil_enabled", None)
    return check is not None and not check()


def _make_immortal(value: int) -> None:
    seen: set[int] = set()
    waiting: list[object] = [each for each in gc.get_objects() if not isinstance(each, _MOVING)]
    own = id(waiting), id(seen)
    count = ctypes.c_uint32
    while waiting:
        each = waiting.pop()
        place = id(each)
        if place in seen or place in own:
            continue
        seen.add(place)
        if isinstance(each, types.CodeType):
            waiting += [getattr(each, name) for name in _CODE]
        elif type(each) in _CONTAINERS:
            waiting += gc.get_referents(each)
        count.from_address(place).value = value
