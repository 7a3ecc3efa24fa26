"""Binary packages (.deb): reading the archive. Unpacking into a tree is :mod:`.unpack`'s.

Format: deb(5): an ``ar`` archive with the members ``debian-binary`` (``2.…``), ``control.tar[.EXT]`` and
``data.tar[.EXT]``, in this order; members whose name starts with ``_`` may stand between.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, cast

from ..errors import ArchiveError

__all__ = ["Control", "open_data", "parse_stanza", "read_control", "read_date"]

_MAGIC = b"!<arch>\n"
_HEADER = 60
_CONTROL_LIMIT = 64 << 20
"""Bytes that a control member may unpack to; the largest ones (kernel images' file lists) have a few MiB."""


@dataclass(frozen=True, slots=True)
class Control:
    """What a package says of itself."""

    fields: Mapping[str, str]
    """The control stanza, in its order, with continuation lines as they are."""
    files: Mapping[str, bytes]
    """The other control files by name: maintainer scripts, md5sums, conffiles, triggers, templates …"""

    @property
    def name(self) -> str:
        return self.fields["Package"]

    @property
    def version(self) -> str:
        return self.fields["Version"]

    @property
    def info_name(self) -> str:
        """The name of its files in dpkg's database: those of one multi-arch set can be installed side by side."""
        if self.fields.get("Multi-Arch") == "same":
            return f"{self.name}:{self.fields['Architecture']}"
        return self.name


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    date: int
    offset: int
    size: int


def read_control(path: Path) -> Control:
    """The control part of the package *path*; :class:`ArchiveError` where it is not a well-formed one."""
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    with open_member(path, "control.tar") as archive:
        for entry in archive:
            name = entry.name.removeprefix("./")
            if not entry.isfile() or not name:
                continue
            if "/" in name or name.startswith("."):
                raise ArchiveError(f"{path.name}: control file {entry.name!r} is not a plain name")
            if entry.size > _CONTROL_LIMIT:
                raise ArchiveError(f"{path.name}: control file {name} has {entry.size} bytes")
            stream = archive.extractfile(entry)
            content = stream.read() if stream else b""
            if name == "control":
                fields = parse_stanza(content.decode("utf-8", "surrogateescape"))
            else:
                files[name] = content
    for needed in ("Package", "Version", "Architecture"):
        if needed not in fields:
            raise ArchiveError(f"{path.name}: its control stanza has no {needed}")
    if not fields["Package"].replace("-", "").replace("+", "").replace(".", "").isalnum():
        raise ArchiveError(f"{path.name}: {fields['Package']!r} is not a package name")
    return Control(MappingProxyType(fields), MappingProxyType(files))


def open_data(path: Path) -> Iterator[tuple[tarfile.TarInfo, Callable[[], BinaryIO]]]:
    """The entries of the package's file system part, in order, each with a function that opens its bytes.

    The archive is read as a stream: an entry's bytes can be read until the next one is asked for.
    """
    with open_member(path, "data.tar") as archive:
        for entry in archive:
            yield entry, lambda entry=entry: cast(BinaryIO, archive.extractfile(entry))  # type: ignore[misc]


def read_date(path: Path) -> int:
    """When the package was built, in seconds since the epoch: no file in it is newer."""
    with path.open("rb") as stream:
        return max(member.date for member in _members(stream, path))


def parse_stanza(text: str) -> dict[str, str]:
    """One deb822 stanza, fields in order; continuation lines keep their leading space."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line[:1] in {" ", "\t"} and name:
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields


@contextmanager
def open_member(path: Path, stem: str) -> Iterator[tarfile.TarFile]:
    """The tar archive *stem* (``data.tar``) in the package, as a stream."""
    try:
        with path.open("rb") as stream:
            for member in _members(stream, path):
                base, dot, extension = member.name.partition(".tar")
                if base + dot == stem:
                    stream.seek(member.offset)
                    window = io.BufferedReader(_Window(stream, member.size), 1 << 20)
                    with tarfile.open(fileobj=_decompress(window, extension, path), mode="r|", bufsize=1 << 20) as tar:
                        yield tar
                    return
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk or of the tree being written to, not of the archive
        raise ArchiveError(f"{path.name} is damaged: {error}", hint="remove it and build again") from error
    raise ArchiveError(f"{path.name}: no {stem} in it: not a .deb", hint="remove it and build again")


def _members(stream: BinaryIO, path: Path) -> Iterator[_Member]:
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise ArchiveError(f"{path.name} is not a .deb", hint="remove it and build again")
    offset = len(_MAGIC)
    while True:
        stream.seek(offset)
        header = stream.read(_HEADER)
        if not header:
            return
        if len(header) != _HEADER or header[58:] != b"`\n":
            raise ArchiveError(f"{path.name}: damaged ar header at byte {offset}", hint="remove it and build again")
        name = header[:16].decode("ascii", "replace").rstrip().rstrip("/")
        size = int(header[48:58])
        yield _Member(name, int(header[16:28] or 0), offset + _HEADER, size)
        offset += _HEADER + size + size % 2


class _Window(io.RawIOBase):
    """The next *size* bytes of a stream as a file of its own."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._stream.read(min(len(buffer), self._left))
        self._left -= len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _decompress(stream: BinaryIO, extension: str, path: Path) -> BinaryIO:
    match extension:
        case "":
            return stream
        case ".xz" | ".lzma":
            return cast(BinaryIO, lzma.LZMAFile(stream))
        case ".zst":
            import zstandard  # late: Ubuntu's packages only

            return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True))
        case ".gz":
            return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
        case ".bz2":
            return cast(BinaryIO, bz2.BZ2File(stream))
    raise ArchiveError(f"{path.name}: unknown compression {extension!r}")
