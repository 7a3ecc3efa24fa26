"""The reader of foreign tars, and the policy for what is in them (rules of defence 1 to 5).

================================  ====================================================================
in a foreign tar                  what is done
================================  ====================================================================
malformed, odd or unknown header  refused: readers must not differ in what they see
``..`` in a name or link target   refused (hard links; a symbolic link's text is only text)
absolute name                     taken relative to the layer's root, as by all engines (Jib writes them)
a parent that is no folder        refused, symbolic links above all (:mod:`.unpack`)
the same name twice               refused, except folders
device nodes, 0:0 ones, too       dropped and noted
setuid, setgid bits               noted, not on disk
file capabilities, ``trusted.*``  dropped; ``user.*`` is kept but for ``user.overlay.*``
overlong names, deep trees        refused (:class:`.bounds.Bounds`)
sparse files                      refused: a header of 512 bytes would make terabytes
PAX records                       at most 1 MiB for an entry, well formed, none twice
global PAX headers                ignored when they change no entry, else refused
================================  ====================================================================

Formats: ustar and PAX (POSIX.1-2001, pax(1)), GNU's long names and base-256 numbers, v7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NoReturn

from ..errors import UntrustedContentError
from .bounds import Bounds
from .compression import Readable
from .facts import quote_name
from .tar import BLOCK, DIRECTORY, FIFO, FILE, HARD_LINK, SYMBOLIC_LINK, XATTR, Member

__all__ = ["DEVICES", "TarReader", "clean_name"]

DEVICES = (b"3", b"4")
_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_KINDS = (FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY, FIFO, *DEVICES)
_ALSO_FILES = (b"\0", b"7")
_PIECE = 1 << 20
_ZERO = bytes(BLOCK)
_OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*")
_DECIMAL = re.compile(rb"-?[0-9]{1,18}(\.[0-9]*)?")
_DECISIVE = (b"path", b"linkpath", b"size")


class TarReader:
    """Reads a tar's members one after the other: ``for member in reader``, with the content of each read (or
    skipped by the loop) before the next. *raw* gets all bytes that are not handed out as content.

    Raises :class:`UntrustedContentError`, which names *what* and the entry.
    """

    def __init__(
        self,
        stream: Readable,
        *,
        what: str,
        bounds: Bounds,
        raw: Callable[[bytes], None] = lambda data: None,
        jump: Callable[[int], object] | None = None,
    ) -> None:
        """*jump* passes over that many bytes of *stream* unread, where it can and *raw* is not wanted."""
        self._stream, self._what, self._bounds, self._raw, self._jump = stream, what, bounds, raw, jump
        self._buffer, self._at = b"", 0
        self._left = self._padding = 0
        self._name = b""
        self.position = 0
        """Bytes read so far: where the content of the present member begins."""

    def __iter__(self) -> Iterator[Member]:
        for _ in range(self._bounds.entries):
            self.skip()
            member = self._next()
            if member is None:
                self._read_trailer()
                return
            yield member
        self._refuse(f"it has more than {self._bounds.entries} entries")

    def content(self) -> Iterator[bytes]:
        """The present member's bytes in pieces."""
        while self._left:
            piece = self._some(min(self._left, _PIECE))
            self._left -= len(piece)
            yield piece

    def skip(self) -> None:
        """Pass over what is left of the present member."""
        waiting = len(self._buffer) - self._at
        if self._jump is not None and self._left > waiting:
            self._jump(self._left - waiting)
            self.position += self._left
            self._left, self._at = 0, len(self._buffer)
        for piece in self.content():
            self._raw(piece)
        # A tar may end with the bytes of its last file: umoci 0.4.7 writes no padding and no end blocks after it.
        if self._padding and self._fill():
            self._raw(self._exactly(self._padding))
        self._padding = 0

    def error(self, cause: str) -> UntrustedContentError:
        """The error to raise for the present member."""
        where = f", entry {quote_name(self._name)[:200]!r}" if self._name else ""
        return UntrustedContentError(f"{self._what}{where}: {cause}")

    # Headers

    def _next(self) -> Member | None:
        records: dict[bytes, bytes] = {}
        seen: set[bytes] = set()
        while True:
            block = self._block()
            if block is None or block == _ZERO:
                if seen:
                    self._refuse("an extended header without its entry")
                if block is not None:
                    self._raw(block)
                return None
            self._raw(block)
            kind = block[156:157]
            if kind not in (_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK):
                return self._member(block, records)
            self._check_sum(block)
            if kind in seen:
                self._refuse("two extended headers of one kind for one entry")
            body = self._extension(self._number(block[124:136], "size"))
            if kind == _GLOBAL:
                self._check_global(self._pax(body))
                continue
            seen.add(kind)
            if kind == _EXTENDED:
                records |= self._pax(body)
            else:
                records.setdefault(b"path" if kind == _LONG_NAME else b"linkpath", body.rstrip(b"\0"))

    def _member(self, block: bytes, records: dict[bytes, bytes]) -> Member:
        self._check_sum(block)
        kind = block[156:157]
        name = records.get(b"path", _text(block[0:100]))
        if b"path" not in records and block[257:265] == b"ustar\x0000" and (prefix := _text(block[345:500])):
            name = prefix + b"/" + name
        self._name = name
        if kind in _ALSO_FILES:
            # v7 has no kind for folders: it writes a slash.
            kind = DIRECTORY if kind == b"\0" and name.endswith(b"/") else FILE
        if kind not in _KINDS:
            self._refuse(f"an entry of the unknown kind {kind!r} (sparse files are not taken in)")
        size = self._decimal(records, b"size") if b"size" in records else self._number(block[124:136], "size")
        if size and kind != FILE:
            self._refuse(f"{size} bytes of content for something that is no file")
        mtime = (
            self._decimal(records, b"mtime")
            if b"mtime" in records
            else self._number(block[136:148], "mtime", signed=True)
        )
        link = records.get(b"linkpath", _text(block[157:257]))
        if kind in (HARD_LINK, SYMBOLIC_LINK):
            self._check_link(link)
        member = Member(
            clean_name(name, self._refuse, self._bounds), kind, self._number(block[100:108], "mode") & 0o7777, mtime,
            size=size, xattrs=_kept_xattrs(records),
        )  # fmt: skip
        if kind == HARD_LINK:
            member.link = clean_name(link, self._refuse, self._bounds)
        elif kind == SYMBOLIC_LINK:
            member.link = link
        self._left, self._padding = size, -size % BLOCK
        return member

    def _check_sum(self, block: bytes) -> None:
        expected = sum(block) - sum(block[148:156]) + 8 * 0x20
        if self._number(block[148:156], "checksum") != expected:
            self._refuse("a header whose checksum does not hold: the archive is damaged, or no tar at all")

    def _check_link(self, link: bytes) -> None:
        if not link or len(link) > 4095 or b"\0" in link:
            self._refuse("a link without a proper target")

    def _number(self, field: bytes, what: str, *, signed: bool = False) -> int:
        if field[0] & 0x80:
            # GNU's base 256: the first bit is a mark, the second the sign.
            value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
            if field[0] & 0x40:
                value -= 1 << (8 * len(field) - 1)
            if value >= 1 << 63 or (value < 0 and not signed):
                self._refuse(f"an impossible {what}")
            return value
        match = _OCTAL.fullmatch(field)
        if match is None:
            self._refuse(f"{what} is not an octal number")
        return int(match[1] or b"0", 8)

    def _decimal(self, records: dict[bytes, bytes], key: bytes) -> int:
        text = records[key]
        if not _DECIMAL.fullmatch(text) or (key == b"size" and not text.isdigit()):
            self._refuse(f"the PAX record {key.decode()} is not a number")
        value = int(text.partition(b".")[0])
        return value - 1 if text.startswith(b"-") and b"." in text else value

    def _extension(self, size: int) -> bytes:
        if size > self._bounds.extension:
            self._refuse(f"an extended header of {size} bytes, more than {self._bounds.extension}")
        body, padding = self._exactly(size), self._exactly(-size % BLOCK)
        self._raw(body + padding)
        return body

    def _pax(self, body: bytes) -> dict[bytes, bytes]:
        records: dict[bytes, bytes] = {}
        while body:
            digits, space, _ = body[:20].partition(b" ")
            length = int(digits) if digits.isdigit() else 0
            key, equals, value = body[len(digits) + 1 : length].partition(b"=")
            if not space or length > len(body) or not equals or not key or not value.endswith(b"\n"):
                self._refuse("a malformed PAX record")
            if key in _DECISIVE and (key in records or b"\0" in value or value == b"\n"):
                self._refuse(f"the PAX record {key.decode()} is given twice, empty or with a NUL")
            if key.startswith(b"GNU.sparse"):
                self._refuse("a sparse file, which is not taken in")
            records[key] = value[:-1]
            body = body[length:]
        return records

    def _check_global(self, records: dict[bytes, bytes]) -> None:
        for key in records:
            if key in _DECISIVE or key.startswith(XATTR):
                self._refuse(f"a global PAX header that sets {quote_name(key)} for all entries")

    # Bytes

    def _fill(self) -> bool:
        """Whether there are bytes, read where need be."""
        if self._at == len(self._buffer):
            self._buffer, self._at = self._stream.read(_PIECE), 0
        return bool(self._buffer)

    def _some(self, size: int) -> bytes:
        """1 to *size* bytes."""
        if not self._fill():
            self._refuse("it is cut off")
        data = self._buffer[self._at : self._at + size]
        self._at += len(data)
        self.position += len(data)
        return data

    def _exactly(self, size: int) -> bytes:
        data = self._some(size) if size else b""
        while len(data) < size:
            data += self._some(size - len(data))
        return data

    def _block(self) -> bytes | None:
        """The next block, or None at the end of a tar that has no end blocks."""
        return self._exactly(BLOCK) if self._fill() else None

    def _read_trailer(self) -> None:
        length = 0
        while self._fill():
            data = self._some(_PIECE)
            length += len(data)
            if data.count(0) != len(data) or length > self._bounds.trailer:
                self._refuse("data after the archive's end")
            self._raw(data)

    def _refuse(self, cause: str) -> NoReturn:
        raise self.error(cause)


def clean_name(name: bytes, refuse: Callable[[str], NoReturn], bounds: Bounds) -> bytes:
    """*name* without ``.``, empty parts and a leading slash; empty for the root."""
    if b"\0" in name or len(name) > bounds.name:
        refuse(f"a name of {len(name)} bytes, or with a NUL")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        refuse("`..` in a name would lead out of the layer")
    if len(parts) > bounds.depth:
        refuse(f"folders nested more than {bounds.depth} deep")
    if any(len(part) > 255 for part in parts):
        refuse("a part of its name has more than 255 bytes")
    return b"/".join(parts)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _kept_xattrs(records: dict[bytes, bytes]) -> dict[bytes, bytes]:
    if len(records) < 2 and not any(key.startswith(XATTR) for key in records):
        return {}
    found = ((key.removeprefix(XATTR), value) for key, value in records.items() if key.startswith(XATTR))
    return {
        key: value
        for key, value in found
        if key.startswith(b"user.") and not key.startswith(b"user.overlay.") and b"\0" not in key
    }
