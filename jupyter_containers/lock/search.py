"""Packages of a Python index: versions of one, and names that hold a text.

Every index has a page for each name (PEP 503, PEP 691); what it says of versions (PEP 700) or, on older ones, the
files' names are enough. The summary is in the metadata beside the newest wheel (PEP 658). A list of *all* names has
tens of megabytes, so it is fetched only when somebody asks for it (:meth:`PackageIndex.fetch_names`), and kept.
Without it a search knows the names that the user's own locks have, those of well-known imports, and whether the text
itself is a name.
"""

from __future__ import annotations

import re
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from ..errors import ArchiveError, InputError, NotFoundError, UnreachableError
from ..image.durable import write_atomically
from ..spec.requirement import normalise_name
from .interruption import wait_for
from .settings import Settings
from .transport import Gone, Transport, shown

__all__ = ["FoundPackage", "Package", "PackageIndex", "SearchResult"]

_PAGE = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_JSON = "application/vnd.pypi.simple.v1+json"
_MOST_PAGE = 64 << 20
"""Bytes of a package's page: those of projects with nightly builds have ten."""
_MOST_NAMES = 256 << 20
_MOST_METADATA = 4 << 20
_FRESH = 600.0
"""Seconds that a package's versions are worth."""
_REMEMBERED = 200
_MOST_HITS = 50_000
"""Names that are looked at to find the shortest of them."""
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
_TEXT = r"[A-Za-z0-9._-]{1,100}"
_HINT = "set the index in the spec, or in uv's or pip's configuration, or the proxy in HTTPS_PROXY"


class FoundPackage(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str = ""
    """The newest; empty where it was not looked at."""
    summary: str = ""
    requires_python: str = ""


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[FoundPackage, ...] = ()
    """The best first: the name itself, names that begin with the text, names that hold it."""
    source: str
    """The index that was asked, without a password."""
    complete: bool = False
    """All names of the index were searched; else only those that are known here."""


class Package(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    versions: tuple[str, ...]
    """Newest first; releases before pre-releases, without what was withdrawn."""
    summary: str = ""
    requires_python: str = ""
    """Of the newest version."""
    source: str = ""


class _File(msgspec.Struct):
    filename: str
    url: str = ""
    requires_python: str | None = msgspec.field(name="requires-python", default=None)
    yanked: bool | str = False
    core_metadata: Any = msgspec.field(name="core-metadata", default=False)


class _Page(msgspec.Struct):
    """PEP 691 and 700."""

    files: list[_File] = []
    versions: list[str] = []


class _Project(msgspec.Struct):
    name: str


class _Names(msgspec.Struct):
    projects: list[_Project] = []


class PackageIndex:
    """The indexes of one user, asked in order. May be used by several threads. :meth:`close` it.

    :param folder: where the list of names is kept.
    :param known: names of packages that the user's own environments have.
    """

    def __init__(
        self, urls: Sequence[str], folder: Path, settings: Settings, *, known: Callable[[], Iterable[str]] = tuple
    ) -> None:
        self.urls = tuple(urls)
        self._folder = folder
        self._settings = msgspec.structs.replace(settings, retries=1)
        self._known = known
        self._transport = Transport(self._settings)
        self._packages: dict[str, tuple[float, Package]] = {}
        self._names: tuple[tuple[int, ...], bytes] | None = None
        self._guard = threading.Lock()

    def close(self) -> None:
        self._transport.close()

    @property
    def source(self) -> str:
        """The last index, which has what the others have not; empty where none is on a network."""
        return shown(self.urls[-1]) if self.urls else ""

    # One package

    def find(self, name: str) -> Package:
        """The versions of package *name*; :class:`NotFoundError`, :class:`InputError`, :class:`UnreachableError`."""
        if not re.fullmatch(_NAME, name):
            raise InputError(f"{name[:100]!r} can't be the name of a Python package")
        key = normalise_name(name)
        with self._guard:
            kept = self._packages.get(key)
        if kept is not None and time.monotonic() - kept[0] < _FRESH:
            return kept[1]
        self._need_network()
        for url in self.urls:
            found = self._ask(url, key)
            if found is not None:
                with self._guard:
                    self._packages[key] = time.monotonic(), found
                    while len(self._packages) > _REMEMBERED:
                        del self._packages[next(iter(self._packages))]
                return found
        raise NotFoundError(f"{self.source} has no package {name!r}", hint="check how it is spelt")

    def _ask(self, index: str, name: str) -> Package | None:
        address = f"{index}/{name}/"
        try:
            _, headers, content = self._get(address, {"Accept": _PAGE}, most=_MOST_PAGE)
        except Gone:
            return None
        page = _read_page(content, headers.get("content-type", ""), address)
        versions = _sorted_versions(page)
        newest = _files_of(page, versions[0]) if versions else []
        requires = next((item.requires_python for item in newest if item.requires_python), "")
        return Package(
            name=name, versions=versions, requires_python=requires or "", source=shown(index),
            summary=self._summary(newest, address),
        )  # fmt: skip

    def _summary(self, files: Sequence[_File], page: str) -> str:
        """From the metadata beside one of *files*; empty where the index keeps none."""
        wheel = next((item for item in files if item.core_metadata and item.filename.endswith(".whl")), None)
        if wheel is None:
            return ""
        try:
            address = urljoin(page, wheel.url).partition("#")[0] + ".metadata"
            _, _, content = self._get(address, {}, most=_MOST_METADATA)
        except (Gone, ArchiveError):
            return ""  # it is the least of what is told
        from email.parser import BytesHeaderParser

        text = str(BytesHeaderParser().parsebytes(content).get("Summary", ""))
        return " ".join(text.split())[:500]

    # Many

    def search(self, text: str, *, most: int = 20) -> SearchResult:
        """Packages whose name is, begins with, or holds *text*; the one of that very name with its version."""
        text = text.strip()
        if not re.fullmatch(_TEXT, text):
            return SearchResult(source=self.source)
        wanted = normalise_name(text).strip("-")
        blob = self._read_names() if self.urls else None
        asks = bool(self.urls) and not self._settings.offline and re.fullmatch(_NAME, text) is not None
        if blob is not None:
            names = _names_with(blob, wanted.encode(), most)
        else:
            names = [name for name in dict.fromkeys(map(normalise_name, self._known())) if wanted in name]
        exact: Package | None = None
        if asks and (blob is None or wanted in names):
            try:
                exact = self.find(wanted)
            except NotFoundError:
                names = [name for name in names if name != wanted]
        ranked = sorted(
            {*names, *([wanted] if exact else [])},
            key=lambda name: (name != wanted, not name.startswith(wanted), len(name), name),
        )
        items = [_as_found(exact) if exact and name == wanted else self._remembered(name) for name in ranked[:most]]
        return SearchResult(items=tuple(items), source=self.source, complete=blob is not None)

    def _remembered(self, name: str) -> FoundPackage:
        with self._guard:
            kept = self._packages.get(name)
        return _as_found(kept[1]) if kept is not None else FoundPackage(name=name)

    def fetch_names(self, *, cancel: threading.Event | None = None) -> int:
        """Fetch the index's list of all names, or learn that it is the same still; how many there are.

        :class:`NotFoundError` where the index has no such list, :class:`CancelledError` soon after *cancel* is set.
        """
        self._need_network()
        stop = threading.Event()
        # Connections of its own: it is tens of megabytes, and can be left without the others.
        transport = Transport(self._settings, stopped=stop)
        try:
            return wait_for(
                lambda: self._fetch_names(transport), stop=stop, cancel=cancel,
                told="stopped while the list of names was fetched", hint="",
            )  # fmt: skip
        finally:
            transport.close()

    def _fetch_names(self, transport: Transport) -> int:
        index = self.urls[-1]
        tag = self._file.with_suffix(".etag")
        headers = {"Accept": f"{_JSON}, text/html;q=0.1"}
        if tag.exists() and self._file.exists():
            headers["If-None-Match"] = tag.read_text()
        try:
            status, answer, content = self._get(f"{index}/", headers, most=_MOST_NAMES, transport=transport)
        except Gone:
            raise NotFoundError(f"{self.source} has no list of its packages", hint="write the whole name") from None
        if status != 304:
            names = _read_names(content, answer.get("content-type", ""), self.source)
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, zlib.compress(b"\n" + b"\n".join(names) + b"\n", 6))
            write_atomically(tag, answer.get("etag", "").encode())
        blob = self._read_names()
        return max(blob.count(b"\n") - 1, 0) if blob else 0

    @property
    def _file(self) -> Path:
        return self._folder / f"{zlib.crc32(self.urls[-1].encode()):08x}.names"

    def _read_names(self) -> bytes | None:
        """All names, each between line ends; None where the list was never fetched."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return None
        mark = (status.st_ino, status.st_mtime_ns, status.st_size)
        with self._guard:
            if self._names is None or self._names[0] != mark:
                try:
                    self._names = mark, zlib.decompress(self._file.read_bytes())
                except (OSError, zlib.error):
                    return None  # damaged: as if it were not there
            return self._names[1]

    # Transfers

    def _need_network(self) -> None:
        if not self.urls:
            raise UnreachableError("the Python index is a folder of this host, which is not searched", hint=_HINT)
        if self._settings.offline:
            raise UnreachableError(
                "offline: the Python index is not asked", hint="unset JUPYTER_CONTAINERS_OFFLINE to search it"
            )

    def _get(
        self, url: str, headers: dict[str, str], *, most: int, transport: Transport | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        try:
            return (transport or self._transport).read(url, headers, most=most)
        except UnreachableError as error:
            host = urlsplit(url).hostname or url
            raise UnreachableError(f"the Python index {host} does not answer: {error.message}", hint=_HINT) from error


def _as_found(package: Package) -> FoundPackage:
    return FoundPackage(
        name=package.name, version=package.versions[0] if package.versions else "", summary=package.summary,
        requires_python=package.requires_python,
    )  # fmt: skip


def _names_with(blob: bytes, wanted: bytes, most: int) -> list[str]:
    """Names that begin with *wanted*, then others that hold it: the shortest ones, *most* in all."""
    found = sorted(islice(_lines_from(blob, b"\n" + wanted), _MOST_HITS), key=lambda name: (len(name), name))[:most]
    if len(found) < most and len(wanted) > 1:
        others = (name for name in islice(_lines_from(blob, wanted), _MOST_HITS) if not name.startswith(wanted))
        found += sorted(set(others), key=lambda name: (len(name), name))[: most - len(found)]
    return [name.decode() for name in found]


def _lines_from(blob: bytes, part: bytes) -> Iterator[bytes]:
    """The lines of *blob* that have *part*, which may begin with their line's start."""
    at = blob.find(part)
    while at >= 0:
        start = blob.rfind(b"\n", 0, at + 1) + 1
        end = blob.find(b"\n", start)
        yield blob[start:end]
        at = blob.find(part, end)


def _read_names(content: bytes, kind: str, source: str) -> list[bytes]:
    if _is_json(kind):
        try:
            projects = msgspec.json.decode(content, type=_Names).projects
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ArchiveError(f"{source}: its list of packages can't be read: {error}", hint=_HINT) from error
        names = (project.name for project in projects)
    else:
        names = (text for text, _ in _links(content))
    return sorted({normalise_name(name).encode() for name in names if re.fullmatch(_NAME, name)})


def _is_json(kind: str) -> bool:
    return "json" in kind.partition(";")[0]


def _read_page(content: bytes, kind: str, address: str) -> _Page:
    if _is_json(kind):
        try:
            return msgspec.json.decode(content, type=_Page)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ArchiveError(f"{shown(address)} can't be read: {error}", hint=_HINT) from error
    files = []
    for text, attributes in _links(content):
        metadata = attributes.get("data-core-metadata") or attributes.get("data-dist-info-metadata") or False
        files.append(
            _File(
                filename=text,
                url=attributes.get("href") or "",
                yanked="data-yanked" in attributes,
                requires_python=attributes.get("data-requires-python"),
                core_metadata=metadata,
            )
        )
    return _Page(files=files)


def _links(content: bytes) -> list[tuple[str, dict[str, str | None]]]:
    """Text and attributes of each link of a page (PEP 503)."""
    parser = _Links()
    parser.feed(content.decode("utf-8", "replace"))
    return [("".join(text).strip(), attributes) for text, attributes in parser.found]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[list[str], dict[str, str | None]]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(([], dict(attrs)))
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.found[-1][0].append(data)


def _version_of(filename: str) -> str:
    """The version in a file's name (the binary distribution format, PEP 625); empty where it has none."""
    name = unquote(filename)
    if name.endswith(".whl"):
        parts = name.split("-")
        return parts[1] if len(parts) >= 5 else ""
    for suffix in (".tar.gz", ".zip", ".tar.bz2"):
        if name.endswith(suffix):
            return name.removesuffix(suffix).rpartition("-")[2]
    return ""


def _files_of(page: _Page, version: str) -> list[_File]:
    from packaging.version import InvalidVersion, Version

    found = []
    for item in page.files:
        try:
            if Version(_version_of(item.filename)) == Version(version):
                found.append(item)
        except InvalidVersion:
            continue
    return found


def _sorted_versions(page: _Page) -> tuple[str, ...]:
    """Those that have a file which was not withdrawn (PEP 592)."""
    from packaging.version import InvalidVersion, Version

    found: dict[Version, str] = {}
    for item in page.files:
        text = _version_of(item.filename)
        try:
            version = Version(text)
        except InvalidVersion:
            continue
        if not item.yanked:
            found.setdefault(version, str(version))
    ordered = sorted(found, key=lambda version: (not version.is_prerelease, version), reverse=True)
    return tuple(found[version] for version in ordered)
