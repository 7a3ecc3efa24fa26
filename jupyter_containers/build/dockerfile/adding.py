"""ADD: what COPY does, and besides it archives of the context are unpacked and addresses downloaded."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import ArchiveError, StoreError
from ...image.model import Layer
from ...lock.fetch import Fetcher
from ...lock.resolve import archive_cache
from ...lock.settings import Settings
from ..report import Reporter
from ..tree import Tree
from .archives import is_archive, unpack_archive
from .copying import (
    Picked,
    copy_layer,
    note_owner,
    pick,
    problem,
    read_mode,
    read_target,
    shared_key,
    write_picked,
)
from .copying import heredoc_text as text_of
from .model import Copy
from .selection import fingerprint, list_items
from .sources import LocalSource, open_regular
from .work import Step, take_layer
from .writing import Writer

__all__ = ["add"]

_URL = re.compile(r"https?://", re.IGNORECASE)
_GIT = re.compile(r"git@|git://|ssh://|(?:https?://|git\+).+\.git(?:[#?].*)?$", re.IGNORECASE)
_LARGEST = 256 << 20
"""Bytes of a download without a checksum: it is held in memory until its hash is known."""


@dataclass(frozen=True, slots=True)
class _Download:
    url: str
    digest: str
    """SHA-256 in hexadecimal digits."""
    content: bytes | None = None
    """None: not fetched yet; a layer that the store has needs no download."""


def add(step: Step, instruction: Copy) -> None:
    """Carry out ``ADD``."""
    texts = [step.expand(text) for text in instruction.sources]
    for text in texts:
        if _GIT.match(text):
            raise problem(step, f"ADD {text}: git repositories are not cloned", "Clone in a RUN, or COPY a checkout")
    urls = [text for text in texts if _URL.match(text)]
    checksum = step.expand(instruction.checksum)
    if checksum and (len(urls) != 1 or len(texts) != 1):
        raise problem(step, "--checksum is for one source that is an address")
    if checksum and not re.fullmatch(r"sha256:[0-9a-f]{64}", checksum):
        raise problem(step, f"--checksum={checksum} is not sha256: and 64 hexadecimal digits")
    local = [text for text, written in zip(texts, instruction.sources, strict=True) if text not in urls and written]
    picked = pick(step, instruction, step.build.context, local) if local else []
    archives = [item for item in picked if not item.is_folder and is_archive(_file(item))]
    digest = checksum.removeprefix("sha256:")
    downloads = [_Download(url, digest) if digest else _ask(step, url) for url in urls]
    heredocs = {heredoc.name: text_of(step, heredoc) for heredoc in instruction.heredocs}
    note_owner(step, instruction)
    key: dict[str, Any] = {
        "sources": [[item.named, fingerprint(item.entries()), item in archives] for item in picked],
        "downloads": [[_name(step, instruction, item.url), item.digest] for item in downloads],
        "heredocs": list(heredocs.items()),
        **shared_key(step, instruction),
    }

    def make(reporter: Reporter) -> Layer:
        plain = [item for item in picked if item not in archives]
        files = {name: text.encode() for name, text in heredocs.items()}
        if not archives and not downloads:
            return copy_layer(step, instruction, plain, files, reporter)
        if archives == picked and not downloads and not files and _is_whole_root(step, instruction, archives):
            return _unpack_root(step, archives[0], reporter)
        return _layer(step, instruction, plain, archives, downloads, files, reporter)

    take_layer(step, key, make, phase="copying")


def _file(item: Picked) -> Path:
    found = item.source.item(item.path)
    assert found is not None
    return found.file


def _is_whole_root(step: Step, instruction: Copy, archives: list[Picked]) -> bool:
    return not step.state.layers and len(archives) == 1 and read_target(step, instruction).path == "/"


def _unpack_root(step: Step, archive: Picked, reporter: Reporter) -> Layer:
    """``FROM scratch``, ``ADD root.tar /``: the archive is the layer, hard links, and modes as they are in it."""
    reporter.phase("unpacking")
    with step.build.store.staging() as staging:
        modes = _unpack(step, archive, staging.fs)
        reporter.phase("committing")
        return step.build.store.commit_layer(staging.fs, created_by=step.instruction.text, true_modes=modes)


def _unpack(step: Step, archive: Picked, folder: Path) -> Mapping[str, int]:
    try:
        with open_regular(_file(archive)) as stream:
            return unpack_archive(stream, folder, what=archive.named)
    except StoreError as error:
        raise problem(step, error.message) from error


def _layer(
    step: Step, instruction: Copy, plain: list[Picked], archives: list[Picked], downloads: list[_Download],
    files: Mapping[str, bytes], reporter: Reporter,
) -> Layer:  # fmt: skip
    store = step.build.store
    target = read_target(step, instruction)
    with store.staging() as staging:
        with Tree(staging.fs) as tree:
            writer = Writer(tree, step.below, chmod=read_mode(step, instruction))
            if plain or files:
                write_picked(step, instruction, plain, files, writer)
            for archive in archives:
                reporter.phase("unpacking", archive.named)
                with store.staging() as aside:
                    modes = _unpack(step, archive, aside.fs)
                    source = LocalSource(aside.fs, name=archive.named, modes=modes)
                    writer.folder(target.path)
                    writer.write_all(list_items(source, ""), target.path, hard_links=True)
            for item in downloads:
                place = target.path
                if target.is_folder or len(instruction.sources) > 1 or writer.is_folder(target.path):
                    place = posixpath.join(target.path, _name(step, instruction, item.url))
                if item.content is not None:
                    writer.file(place, item.content, 0o600)
                    continue
                reporter.phase("downloading", item.url)
                with _fetch(step, item, reporter).open("rb") as stream:
                    writer.file(place, stream, 0o600)
        reporter.phase("committing")
        return store.commit_layer(staging.fs, created_by=instruction.text)


def _name(step: Step, instruction: Copy, url: str) -> str:
    """The file name that an address ends with."""
    name = posixpath.basename(unquote(urlsplit(url).path))
    if (not name or name in {".", ".."} or "\0" in name) and read_target(step, instruction).is_folder:
        raise problem(step, f"{url} ends in no file name", "Write the file's whole path as the target")
    return name


def _fetch(step: Step, item: _Download, reporter: Reporter) -> Path:
    try:
        with _fetcher(step) as fetcher:
            progress = reporter.progress("downloading", "bytes")
            return fetcher.fetch([item.url], item.digest, progress=progress)
    except ArchiveError as error:
        raise problem(step, f"ADD {item.url}: {error.message}") from error


def _fetcher(step: Step) -> Fetcher:
    return Fetcher(archive_cache(step.build.paths), step.build.settings or Settings.current())


def _ask(step: Step, url: str) -> _Download:
    """Download what has no checksum; the server is asked each time whether it has changed."""
    try:
        with _fetcher(step) as fetcher:
            document = fetcher.document([url], max_bytes=_LARGEST)
    except ArchiveError as error:
        raise problem(step, f"ADD {url}: {error.message}", "With --checksum=sha256:… it is downloaded once") from error
    if document is None:
        raise problem(step, f"ADD {url}: the server has no such file")
    return _Download(url, hashlib.sha256(document.content).hexdigest(), document.content)
