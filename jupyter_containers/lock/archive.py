"""Debian archives: signed Release files, and the Packages indexes that they vouch for.

The chain: a key that is trusted → InRelease (its signature, name and dates) → the sha256 of each Packages file →
the sha256 of each .deb. (Debian wiki, DebianRepository/Format; apt-secure(8).)
"""

from __future__ import annotations

import email.utils
import lzma
import re
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from ..errors import ArchiveError, SignatureError
from .cache import write_whole
from .fetch import Download, Fetcher, Progress, no_progress
from .packages import COMPACT_FORMAT, Compact, Index, make_compact
from .signature import keyring_files, verify_cleartext

__all__ = ["Release", "Warn", "fetch_release", "load_index", "parse_release"]

Warn: TypeAlias = Callable[[str], None]

_SUITE = re.compile(r"^[a-z0-9][a-z0-9.+-]*(/updates)?$")
_LARGEST_INDEX = 1 << 30
_SKEW = 24 * 3600
"""Seconds that a Release may lie ahead of this host's clock before the clock is blamed."""


@dataclass(frozen=True, slots=True)
class Release:
    """What an InRelease file says of its suite, after all checks."""

    archive: str
    """Root of the mirror that served it."""
    suite: str
    """Suite or codename as it was asked for."""
    names: frozenset[str]
    """Its own Suite and Codename."""
    codename: str
    date: float
    """Seconds since the epoch."""
    valid_until: float | None
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    by_hash: bool
    all_apart: bool
    """Packages of ``Architecture: all`` are in an index of their own only."""
    optional: bool
    """NotAutomatic: packages are taken only when asked for by name (backports, experimental)."""
    files: dict[str, tuple[str, int]]
    """Path below ``dists/<suite>/`` → (sha256, size)."""


def fetch_release(
    archives: Sequence[str], suite: str, fetcher: Fetcher, *, warn: Warn, now: float | None = None
) -> Release | None:
    """The checked Release of *suite*, from the first of *archives* that has it; None where none does.

    Raises :class:`SignatureError` (signature, name, dates) and what the fetcher raises.
    """
    if not _SUITE.match(suite):
        raise ArchiveError(
            f"{suite!r} is not the name of a Debian suite", hint="for example debian:trixie or debian:bookworm"
        )
    urls = [f"{archive}/dists/{suite}/InRelease" for archive in archives]
    document = fetcher.document(urls)
    if document is None:
        return None
    archive = document.url.removesuffix(f"/dists/{suite}/InRelease")
    keyrings = keyring_files(fetcher.settings.keyrings)
    verified = verify_cleartext(document.content, name=f"{suite} of {archive}", keyrings=keyrings)
    release = parse_release(verified.text.decode("utf-8", "replace"), archive=archive, suite=suite)
    _check_name(release)
    _check_dates(release, time.time() if now is None else now, fetcher.settings.strict_valid_until, warn)
    return release


def parse_release(text: str, *, archive: str, suite: str) -> Release:
    """The fields of a Release file that matter here. :class:`ArchiveError` where it has no sha256 list."""
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, int]] = {}
    key = ""
    for line in text.splitlines():
        if line.startswith((" ", "\t")):
            words = line.split()
            if key == "SHA256" and len(words) == 3 and words[1].isdigit():
                files[words[2]] = (words[0].lower(), int(words[1]))
        else:
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    if not files:
        raise ArchiveError(f"{archive}: the Release file of {suite} has no SHA256 list", hint="use another mirror")
    own = fields.get("Codename", "")
    architectures = tuple(fields.get("Architectures", "").split())
    return Release(
        archive=archive,
        suite=suite,
        names=frozenset(name for name in (own, fields.get("Suite", "")) if name),
        codename=own or fields.get("Suite", suite),
        date=_seconds(fields.get("Date", "")) or 0.0,
        valid_until=_seconds(fields.get("Valid-Until", "")),
        architectures=architectures,
        components=tuple(name.rsplit("/", 1)[-1] for name in fields.get("Components", "").split()),
        by_hash=fields.get("Acquire-By-Hash") == "yes",
        all_apart="all" in architectures and "Packages" not in fields.get("No-Support-for-Architecture-all", ""),
        optional=fields.get("NotAutomatic") == "yes",
        files=files,
    )


def load_index(
    release: Release, component: str, architecture: str, fetcher: Fetcher, *, progress: Progress = no_progress
) -> list[Index]:
    """The packages of one component and architecture: one index, or two where ``all`` lies apart.

    An architecture or component that the suite does not have is an :class:`ArchiveError`.
    """
    wanted = [architecture, *(["all"] if release.all_apart else [])]
    return [_load(release, component, each, fetcher, progress) for each in wanted]


def _load(release: Release, component: str, architecture: str, fetcher: Fetcher, progress: Progress) -> Index:
    base = f"{component}/binary-{architecture}/Packages"
    name = next((base + end for end in (".xz", ".gz", "") if base + end in release.files), None)
    if name is None:
        raise ArchiveError(
            f"{release.archive} has no packages of {component} for {architecture} in {release.suite}",
            hint=f"it has {', '.join(release.components)} for {', '.join(release.architectures)}",
        )
    sha256, size = release.files[name]
    file = _compact_file(fetcher.cache, sha256)
    compact = _read_compact(file)
    if compact is None:
        urls = [f"{release.archive}/dists/{release.suite}/{name}"]
        if release.by_hash:
            # By-hash first: the plain name may already be the next version's (an update under way).
            folder = name.rpartition("/")[0]
            urls.insert(0, f"{release.archive}/dists/{release.suite}/{folder}/by-hash/SHA256/{sha256}")
        what = f"package list of {release.suite} ({architecture})"
        path = fetcher.fetch_many([Download(tuple(urls), sha256, size)], what=what, progress=progress)[0]
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            # Another suite's list may be the same (empty ones are), and its thread, or process, faster.
            compact = _read_compact(file)
            if compact is None:
                raise
        else:
            compact = make_compact(_decompress(content, name))
            write_whole(file, msgspec.msgpack.encode(compact))
            path.unlink(missing_ok=True)  # the compact form is all that is read from now on
    return Index(compact, archive=release.archive, suite=release.suite)


def _decompress(content: bytes, name: str) -> bytes:
    try:
        if name.endswith(".xz"):
            stream = lzma.LZMADecompressor(memlimit=512 << 20)
            text = stream.decompress(content, _LARGEST_INDEX)
        elif name.endswith(".gz"):
            text = zlib.decompressobj(wbits=31).decompress(content, _LARGEST_INDEX)
        else:
            text = content
    except (lzma.LZMAError, zlib.error) as error:
        raise ArchiveError(f"{name} cannot be unpacked: {error}", hint="use another mirror") from error
    if len(text) >= _LARGEST_INDEX:
        raise ArchiveError(f"{name} unpacks to more than {_LARGEST_INDEX} bytes", hint="use another mirror")
    return text


def _compact_file(cache: Path, sha256: str) -> Path:
    return cache / "indexes" / f"{sha256}.{COMPACT_FORMAT}"


def _read_compact(file: Path) -> Compact | None:
    try:
        return msgspec.msgpack.decode(file.read_bytes(), type=Compact)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # a damaged one is made anew


def _check_name(release: Release) -> None:
    """A mirror must not answer with another suite than the one asked for, however well signed it is."""
    # Old security suites are `buster/updates` in the path, with the codename alone in the file.
    wanted = release.suite.removesuffix("/updates")
    if wanted not in release.names:
        raise SignatureError(
            f"{release.archive} answers with {' / '.join(sorted(release.names)) or 'no name'} "
            f"when asked for {release.suite}",
            hint="use another mirror",
        )


def _check_dates(release: Release, now: float, strict: bool, warn: Warn) -> None:
    if release.date > now + _SKEW:
        raise SignatureError(
            f"{release.suite} of {release.archive} is dated {time.ctime(release.date)}, in the future",
            hint="set this host's clock",
        )
    if release.valid_until is None or release.valid_until >= now:
        return
    days = (now - release.valid_until) / 86400
    message = (
        f"{release.suite} of {release.archive} was valid until {time.ctime(release.valid_until)} ({days:.0f} days ago)"
    )
    if strict:
        raise SignatureError(
            message, hint="use a mirror that is up to date, or leave strict-valid-until off (a snapshot)"
        )
    warn(f"{message}: the mirror is a snapshot, or is no longer updated")


def _seconds(text: str) -> float | None:
    """Of ``Sat, 21 Nov 2026 09:15:44 UTC``."""
    fields = email.utils.parsedate_tz(text) if text else None
    return None if fields is None else float(email.utils.mktime_tz(fields))
