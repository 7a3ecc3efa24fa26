"""Writing tar: ustar headers (POSIX.1-1988), with PAX records (POSIX.1-2001, pax(1)) only where they are needed.

Not :mod:`tarfile`: it spends ten times as long on an entry, and a layer of Python packages has 15 000 of them.
The reader of foreign tars is :mod:`.untrusted`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

__all__ = [
    "BLOCK", "DIRECTORY", "END", "FIFO", "FILE", "HARD_LINK", "SYMBOLIC_LINK", "XATTR", "Member", "pack",
    "pad",
]  # fmt: skip

BLOCK = 512
END = bytes(2 * BLOCK)
FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY, FIFO = b"0", b"1", b"2", b"5", b"6"
XATTR = b"SCHILY.xattr."
"""Prefix of the PAX keyword for an extended attribute; star's, which all engines use."""

_PLAIN_NAME = 100
_PLAIN_SIZE = 8**11
_OWNER = b"0000000\0" * 2
_MAGIC_TO_NAMES = b"ustar\x0000" + bytes(64)
_DEVICE = b"0000000\0" * 2
_TAIL = bytes(155 + 12)


class Member(msgspec.Struct):
    """One entry. Names are bytes, as file systems have them, without a leading ``/`` or ``./``."""

    name: bytes
    """A directory's has no slash at its end; :func:`pack` adds it."""
    kind: bytes
    mode: int
    """Permission, setuid, setgid and sticky bits."""
    mtime: int
    """Whole seconds."""
    size: int = 0
    link: bytes = b""
    """A symbolic link's text, or the name of the entry that a hard link is another name for."""
    xattrs: Mapping[bytes, bytes] = msgspec.field(default_factory=dict)


def pack(member: Member) -> bytes:
    """The header blocks of *member*: the same bytes for equal members. Owner and group are 0 and have no names."""
    name = member.name + b"/" if member.kind == DIRECTORY else member.name
    link, size, mtime = member.link, member.size, max(member.mtime, 0)
    # Readers take a header's name as ASCII or as they like; what is in a PAX record is UTF-8 by the standard.
    plain = len(name) <= _PLAIN_NAME and len(link) <= _PLAIN_NAME and name.isascii() and link.isascii()
    if plain and not member.xattrs and size < _PLAIN_SIZE and mtime < _PLAIN_SIZE:
        return _header(name, member.kind, member.mode, size, mtime, link)
    records = _records(name, link, size, mtime, member.xattrs)
    body = b"".join(records)
    return b"".join(
        (
            _header(b"././@PaxHeader", b"x", 0o644, len(body), 0, b""),
            body,
            pad(len(body)),
            _header(_shortened(name), member.kind, member.mode, _fitting(size), _fitting(mtime), _shortened(link)),
        )
    )


def pad(size: int) -> bytes:
    """The zeros that fill the last block of *size* bytes."""
    return bytes(-size % BLOCK)


def _header(name: bytes, kind: bytes, mode: int, size: int, mtime: int, link: bytes) -> bytes:
    head = b"%b%07o\0%b%011o\0%011o\0" % (name.ljust(_PLAIN_NAME, b"\0"), mode, _OWNER, size, mtime)
    rest = b"%b%b%b%b%b" % (kind, link.ljust(_PLAIN_NAME, b"\0"), _MAGIC_TO_NAMES, _DEVICE, _TAIL)
    # The checksum is taken with its own field as eight spaces.
    return b"%b%06o\0 %b" % (head, sum(head) + sum(rest) + 8 * 0x20, rest)


def _records(name: bytes, link: bytes, size: int, mtime: int, xattrs: Mapping[bytes, bytes]) -> list[bytes]:
    wanted: dict[bytes, bytes] = {}
    if not _is_utf8(name) or not _is_utf8(link):
        wanted[b"hdrcharset"] = b"BINARY"
    if len(link) > _PLAIN_NAME or not link.isascii():
        wanted[b"linkpath"] = link
    if mtime >= _PLAIN_SIZE:
        wanted[b"mtime"] = b"%d" % mtime
    if len(name) > _PLAIN_NAME or not name.isascii():
        wanted[b"path"] = name
    if size >= _PLAIN_SIZE:
        wanted[b"size"] = b"%d" % size
    wanted |= {XATTR + key: xattrs[key] for key in sorted(xattrs)}
    return [_record(key, value) for key, value in wanted.items()]


def _record(key: bytes, value: bytes) -> bytes:
    """``"%d %s=%s\\n"``, where the number counts its own digits, too."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _fitting(number: int) -> int:
    return number if number < _PLAIN_SIZE else 0


def _shortened(name: bytes) -> bytes:
    """What readers that know no PAX show."""
    return name.decode("ascii", "replace").encode("ascii", "replace")[:_PLAIN_NAME]


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
