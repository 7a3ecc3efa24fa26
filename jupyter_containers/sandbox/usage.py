"""What a control group has counted.

Who looks again and again keeps the files open (:class:`Gauge`): to open one costs as much as to read it eight times.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Gauge", "Usage", "read"]


_CHUNK = 4096
_WHOLE = _CHUNK // 2
"""A longer text may go on: of long ones the kernel gives whole lines, so that a part need not fill the chunk."""

# What is to be known, and the file that tells it (cgroup-v2.rst; cgroup-v1/{memory,cpuacct,pids,blkio-controller}.rst).
_V2 = {
    "cpu": "cpu.stat", "memory": "memory.current", "limit": "memory.max", "peak": "memory.peak",
    "oom": "memory.events", "pids": "pids.current", "blocks": "io.stat",
}  # fmt: skip
_V1 = {
    "cpu": ("cpuacct", "cpuacct.usage"),
    "memory": ("memory", "memory.usage_in_bytes"),
    "limit": ("memory", "memory.limit_in_bytes"),
    "peak": ("memory", "memory.max_usage_in_bytes"),
    "oom": ("memory", "memory.oom_control"),
    "pids": ("pids", "pids.current"),
    "blocks": ("blkio", "blkio.throttle.io_service_bytes_recursive"),
}


class Usage(NamedTuple):
    """Figures of a group; None: this host does not count it."""

    cpu_seconds: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    memory_peak: int | None = None
    oom_kills: int | None = None
    pids: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None


class Gauge:
    """Reads the figures of the group in *folders* (by v1 controller, or ``unified``), any number of times.

    Not for two threads at once. With ``read(keep=True)`` its files stay open, until :meth:`close`.
    """

    def __init__(self, folders: Mapping[str, Path | str], *, oom_kills: bool = True) -> None:
        """Without *oom_kills* those are None: a file less, of no use while the container runs."""
        self._is_unified = "unified" in folders
        if self._is_unified:
            top = folders["unified"]
            self._paths = {what: f"{top}/{name}" for what, name in _V2.items()}
        else:
            self._paths = {what: f"{folders[key]}/{name}" for what, (key, name) in _V1.items() if key in folders}
        if not oom_kills:
            self._paths.pop("oom", None)
        self._handles: dict[str, int] = {}

    @property
    def files(self) -> int:
        """How many it has open."""
        return len(self._handles)

    def read(self, *, keep: bool = False) -> Usage:
        parse = _usage_v2 if self._is_unified else _usage_v1
        if len(self._handles) == len(self._paths):
            with suppress(OSError):  # the group has been removed: told below
                texts = {what: os.pread(handle, _CHUNK, 0) for what, handle in self._handles.items()}
                if max(map(len, texts.values()), default=0) <= _WHOLE:
                    return parse(texts)
        texts = {}
        for what, path in self._paths.items():
            handle = self._handles.get(what)
            try:
                if handle is None:
                    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    if keep:
                        self._handles[what] = handle
                texts[what] = _read_all(handle)
            except OSError:  # no such file here; of one that is open: the group has been removed
                self._handles.pop(what, None)
            finally:
                if handle is not None and what not in self._handles:
                    os.close(handle)
        return parse(texts)

    def close(self) -> None:
        while self._handles:
            os.close(self._handles.popitem()[1])


def _read_all(handle: int) -> bytes:
    text = more = os.pread(handle, _CHUNK, 0)
    while len(more) > _WHOLE:
        more = os.pread(handle, _CHUNK, len(text))
        text += more
    return text


def read(path: Path | str) -> str:
    """The text of a small file; empty where there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return _read_all(handle).decode().strip()
    except OSError:
        return ""
    finally:
        os.close(handle)


def _usage_v2(texts: Mapping[str, bytes]) -> Usage:
    blocks, taken, given = texts.get("blocks"), 0, 0
    for line in (blocks or b"").splitlines():  # 8:0 rbytes=4096 wbytes=0 …
        pairs = dict(word.split(b"=", 1) for word in line.split()[1:] if b"=" in word)
        taken += int(pairs.get(b"rbytes", 0))
        given += int(pairs.get(b"wbytes", 0))
    microseconds = _value(texts, "cpu", b"usage_usec")
    return Usage(
        None if microseconds is None else microseconds / 1e6,
        _number(texts, "memory"),
        _number(texts, "limit"),
        _number(texts, "peak"),
        _value(texts, "oom", b"oom_kill"),
        _number(texts, "pids"),
        None if blocks is None else taken,
        None if blocks is None else given,
    )


def _usage_v1(texts: Mapping[str, bytes]) -> Usage:
    blocks = texts.get("blocks")  # `Total 0` at least, where it is
    totals = {b"Read": 0, b"Write": 0}
    for line in (blocks or b"").splitlines():
        words = line.split()  # 254:0 Read 4096
        if len(words) == 3 and words[1] in totals:
            totals[words[1]] += int(words[2])
    nanoseconds, limit = _number(texts, "cpu"), _number(texts, "limit")
    return Usage(
        None if nanoseconds is None else nanoseconds / 1e9,
        _number(texts, "memory"),
        limit if limit is not None and limit < 1 << 60 else None,  # no limit is 2⁶³ less a page
        _number(texts, "peak"),
        _value(texts, "oom", b"oom_kill"),
        _number(texts, "pids"),
        totals[b"Read"] if blocks else None,
        totals[b"Write"] if blocks else None,
    )


def _number(texts: Mapping[str, bytes], what: str) -> int | None:
    text = texts.get(what)
    return int(text) if text and text[:1].isdigit() else None  # `max` is none


def _value(texts: Mapping[str, bytes], what: str, key: bytes) -> int | None:
    """Of *key* among ``key value`` lines."""
    for line in texts.get(what, b"").splitlines():
        name, _, value = line.partition(b" ")
        if name == key and value.isdigit():
            return int(value)
    return None
