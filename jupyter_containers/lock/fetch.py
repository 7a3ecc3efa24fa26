"""Downloads into a content-addressed cache.

A :class:`Fetcher` has connections (:mod:`.transport`) and a cache::

    cache/sha256/ab/<hex>     whole objects; a name is only there once the bytes have its hash
    cache/partial/<hex>       what was transferred so far; taken up again with a Range request, whose result is
                              checked by the hash like any other
    cache/documents/<hash>    files that have no hash to be known by (InRelease), with their validators
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, TypeAlias
from urllib.parse import urlsplit

import msgspec

from ..errors import ArchiveError, CancelledError, HashMismatchError, OutOfSpaceError, UnreachableError
from ..image.shared import find_shared
from .cache import Partial, partial, write_whole
from .settings import Settings
from .transport import Gone, Transport, hosts, shown

__all__ = ["Document", "Download", "Fetcher", "Progress", "no_progress"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""(what, done, total); a total of 0 is not known."""

_CHUNK = 256 * 1024


def no_progress(what: str, done: int, total: int) -> None:
    """A listener that does nothing."""


@dataclass(frozen=True, slots=True)
class Download:
    """One object: where it may be had, and what it must be."""

    urls: tuple[str, ...]
    sha256: str
    size: int | None = None
    """Bytes, where known."""


class Document(msgspec.Struct, frozen=True):
    """A file without a known hash, as last served."""

    url: str
    content: bytes
    etag: str = ""
    last_modified: str = ""


class Fetcher:
    """Downloads into *cache*. A context manager; may be used by several threads at once.

    :param stopped: once it is set (as :meth:`close` does) running transfers end with :class:`CancelledError`.
    """

    def __init__(self, cache: Path, settings: Settings, *, stopped: threading.Event | None = None) -> None:
        self.cache = cache
        self.settings = settings
        self._transport = Transport(settings, stopped=stopped)
        # The cache is the store's, <store>/cache/archives: below that lie the stores that others share.
        self._shared = tuple(root / "cache" / "archives" for root in find_shared(cache.parent.parent, None))

    @property
    def stopped(self) -> threading.Event:
        return self._transport.stopped

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End running transfers and let go of the connections."""
        self._transport.close()

    def cached(self, sha256: str) -> Path | None:
        """The object of that hash if the cache has it, or that of a shared store, from which it is copied."""
        path = self._object(sha256)
        if path.is_file():
            return path
        inside = path.relative_to(self.cache)
        found = any(self._take_over(sha256, shared / inside) for shared in self._shared)
        return path if found else None

    def _take_over(self, sha256: str, path: Path) -> bool:
        try:
            with path.open("rb") as source, partial(self.cache / "partial", sha256) as part:
                part.clear()
                while chunk := source.read(_CHUNK):
                    part.append(chunk)
                part.check(sha256, None)
                self._object(sha256).parent.mkdir(parents=True, exist_ok=True)
                part.path.rename(self._object(sha256))
        except (OSError, HashMismatchError):
            return False  # not there, closed to us, or damaged: it is downloaded
        return True

    def take_in(self, stream: BinaryIO, sha256: str) -> Path:
        """Keep a copy of what *stream* has as the object of that hash; :class:`HashMismatchError`."""
        found = self.cached(sha256)
        if found is not None:
            return found
        target = self._object(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as copy:
                total = hashlib.sha256()
                while chunk := stream.read(_CHUNK):
                    total.update(chunk)
                    copy.write(chunk)
            if total.hexdigest() != sha256:
                raise HashMismatchError(f"its sha256 is {total.hexdigest()}, and {sha256} was wanted")
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
        return target

    def fetch(
        self, urls: Sequence[str], sha256: str, size: int | None = None, *, progress: Progress = no_progress
    ) -> Path:
        """The object of hash *sha256* (hex), from the first mirror that has it.

        Raises :class:`UnreachableError`, :class:`HashMismatchError`, or :class:`ArchiveError` where no mirror has it.
        """
        return self.fetch_many([Download(tuple(urls), sha256, size)], progress=progress)[0]

    def fetch_many(
        self, items: Sequence[Download], *, what: str = "downloading", progress: Progress = no_progress
    ) -> list[Path]:
        """All *items*, several at a time, in the order given; *progress* counts bytes of what is not cached yet."""
        missing = {item.sha256: item for item in items if self.cached(item.sha256) is None}
        if missing:
            counter = _Counter(what, sum(item.size or 0 for item in missing.values()), progress)
            stop = threading.Event()
            with ThreadPoolExecutor(min(self.settings.parallel, len(missing)), "fetch") as pool:
                # The largest first: a big file that starts last would be waited for alone.
                order = sorted(missing.values(), key=lambda item: -(item.size or 0))
                futures = [pool.submit(self._download, item, counter, stop) for item in order]
                try:
                    pending = set(futures)
                    while pending:
                        # A time-out lets Ctrl-C through while threads are at work.
                        done, pending = wait(pending, timeout=0.2)
                        for future in done:
                            future.result()
                except BaseException:
                    stop.set()
                    for future in futures:
                        future.cancel()
                    raise
        return [self._object(item.sha256) for item in items]

    def document(self, urls: Sequence[str], *, max_bytes: int = 32 << 20) -> Document | None:
        """A file that changes under its name, asked for anew each time (cheaply, where it did not change).

        None where every mirror says that it has no such file. Offline: the last copy, or :class:`UnreachableError`.
        """
        kept = {url: self._kept(url) for url in urls}
        if self.settings.offline:
            for url in urls:
                if (copy := kept[url]) is not None:
                    return copy
            raise self._offline(urls)
        answer: list[Document] = []

        def ask(url: str) -> None:
            answer.append(self._ask(url, kept[url], max_bytes))

        if not self._transport.try_mirrors(urls, ask, threading.Event()):
            return None
        write_whole(self._document_file(answer[0].url), msgspec.msgpack.encode(answer[0]))
        return answer[0]

    # Transfers

    def _ask(self, url: str, kept: Document | None, max_bytes: int) -> Document:
        headers = {}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        if kept is not None and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        with self._transport.stream(url, headers) as response:
            if response.status_code == 304 and kept is not None:
                return kept
            content = bytearray()
            for chunk in response.iter_raw(_CHUNK):
                content += chunk
                if len(content) > max_bytes:
                    raise HashMismatchError(f"{url} is larger than {max_bytes} bytes", hint="use another mirror")
            return Document(
                url, bytes(content), response.headers.get("etag", ""), response.headers.get("last-modified", "")
            )

    def _download(self, item: Download, counter: _Counter, stop: threading.Event) -> None:
        if self.cached(item.sha256) is not None:
            return
        if self.settings.offline:
            raise self._offline(item.urls)
        try:
            with partial(self.cache / "partial", item.sha256) as part:
                self._fill(part, item, counter, stop)
        except OSError as error:
            if error.errno == 28:  # ENOSPC
                raise OutOfSpaceError(f"no space left for downloads in {self.cache}", hint="free disk space") from error
            raise

    def _fill(self, part: Partial, item: Download, counter: _Counter, stop: threading.Event) -> None:
        mismatches: list[str] = []

        def transfer(url: str) -> None:
            resumed = part.size
            try:
                self._transfer(url, part, item, counter, stop)
                part.check(item.sha256, item.size)
            except HashMismatchError as error:
                counter.add(-part.size)
                part.clear()
                if resumed:
                    # The earlier part may have been of another file: once more from the start.
                    self._transfer(url, part, item, counter, stop)
                    part.check(item.sha256, item.size)
                    return
                mismatches.append(f"{url}: {error.message}")
                raise Gone(error.message) from error

        counter.add(part.size)
        if not self._transport.try_mirrors(item.urls, transfer, stop):
            if mismatches:
                raise HashMismatchError(
                    f"wrong content for sha256 {item.sha256}: " + "; ".join(mismatches),
                    hint="the mirror may be in the middle of an update, or a proxy alters files: try again, or take "
                    "another mirror",
                )
            raise ArchiveError(
                f"no mirror has {urlsplit(item.urls[0]).path} (asked: {', '.join(hosts(item.urls))})",
                hint="the archive may have moved on: `jupyter containers lock --upgrade` takes what it has now",
            )
        target = self._object(item.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        part.path.rename(target)

    def _transfer(self, url: str, part: Partial, item: Download, counter: _Counter, stop: threading.Event) -> None:
        headers = {"Range": f"bytes={part.size}-"} if part.size else {}
        if part.size and part.size == item.size:
            return
        with self._transport.stream(url, headers) as response:
            if response.status_code == 416:
                raise HashMismatchError("the earlier part is longer than the file")
            if response.status_code != 206 and part.size:
                counter.add(-part.size)
                part.clear()
            for chunk in response.iter_raw(_CHUNK):
                if stop.is_set() or self._transport.stopped.is_set():
                    raise CancelledError("the download was stopped")
                part.append(chunk)
                counter.add(len(chunk))
                if item.size is not None and part.size > item.size:
                    raise HashMismatchError(f"longer than the {item.size} bytes that the index says")

    # The cache

    def _object(self, sha256: str) -> Path:
        return self.cache / "sha256" / sha256[:2] / sha256

    def _document_file(self, url: str) -> Path:
        return self.cache / "documents" / hashlib.sha256(url.encode()).hexdigest()

    def _kept(self, url: str) -> Document | None:
        try:
            kept = msgspec.msgpack.decode(self._document_file(url).read_bytes(), type=Document)
        except (OSError, msgspec.DecodeError):
            return None
        return kept if kept.url == url else None

    def _offline(self, urls: Sequence[str]) -> UnreachableError:
        return UnreachableError(
            f"offline, and {shown(urls[0])} is not in the cache {self.cache}",
            hint="unset JUPYTER_CONTAINERS_OFFLINE (or `offline` in the configuration file) once to download it",
        )


class _Counter:
    """Bytes of several transfers, told to one listener."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what, self._total, self._progress = what, total, progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._progress(self._what, self._done, max(self._total, 0))
