"""A wheel looked at before it is unpacked on the host: its names, and how much it unpacks to.

uv leaves out what would lead out of its folder, and checks sizes as it unpacks. Here a wheel that tries is refused as a
whole and told as what it is, and one that would fill the disk before it is found out.
Source: the PyPA's "Binary distribution format", APPNOTE.TXT of the ZIP format (4.4.17: names have forward slashes).
"""

from __future__ import annotations

import configparser
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import UntrustedContentError
from ..image.bounds import DEFAULT_BOUNDS, Bounds, Room

__all__ = ["check_wheel"]

_SCHEMES = frozenset({"purelib", "platlib", "headers", "scripts", "data"})
_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LARGEST_ENTRY_POINTS = 1 << 20


def check_wheel(file: Path, name: str, *, disk: Path, bounds: Bounds = DEFAULT_BOUNDS) -> None:
    """Raise :class:`UntrustedContentError` for the wheel *file*, called *name*, where it is none, or would put a file
    elsewhere than into its environment; :class:`OutOfSpaceError` where it does not fit on *disk*."""
    room = Room(disk, bounds, what=name)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            for cause in _wrong(archive, entries, bounds):
                raise UntrustedContentError(f"{name}: {cause}", hint="do not install it; tell who distributes it")
            for entry in entries:
                room.take(entry.file_size)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise UntrustedContentError(f"{name} is not a wheel: {error}", hint="take another version") from error


def _wrong(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], bounds: Bounds) -> Iterator[str]:
    if len(entries) > bounds.entries:
        yield f"it has {len(entries)} files"
    size = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if size > bounds.ratio_from and size > packed * bounds.ratio:
        yield f"it unpacks from {packed} to {size} bytes"
    for entry in entries:
        yield from _wrong_entry(entry, bounds)
        if entry.filename.endswith(".dist-info/entry_points.txt") and entry.filename.count("/") == 1:
            yield from _wrong_scripts(archive, entry)


def _wrong_entry(entry: zipfile.ZipInfo, bounds: Bounds) -> Iterator[str]:
    # As it is in the archive: zipfile cuts names at a NUL.
    parts = entry.orig_filename.replace("\\", "/").rstrip("/").split("/")
    shown = ascii(entry.orig_filename[:200])
    if not parts[0] or (len(parts[0]) == 2 and parts[0][1] == ":") or ".." in parts or "\0" in parts[-1]:
        yield f"the file {shown} leads out of it"
    if len(entry.orig_filename.encode()) > bounds.name or len(parts) > bounds.depth:
        yield f"the name {shown}… is too long"
    if parts[0].endswith(".data") and len(parts) > 1 and parts[1] not in _SCHEMES:
        yield f"the file {shown} is for {parts[1]!r}, which no installer knows"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        yield f"{shown} is neither a file nor a folder"
    if entry.compress_type not in _DEFLATED:
        yield f"the file {shown} is packed in another way than wheels are"


def _wrong_scripts(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[str]:
    """Console scripts are files called by what this file says."""
    if entry.file_size > _LARGEST_ENTRY_POINTS:
        yield f"{entry.filename} has {entry.file_size} bytes"
        return
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # names are told apart by case
    try:
        parser.read_string(archive.read(entry).decode())
    except (configparser.Error, UnicodeDecodeError):
        return  # uv has a word on that
    for section in ("console_scripts", "gui_scripts"):
        for script in parser.options(section) if parser.has_section(section) else ():
            if "/" in script or "\\" in script or script in {"", ".", ".."}:
                yield f"it has a script called {script[:200]!r}"
