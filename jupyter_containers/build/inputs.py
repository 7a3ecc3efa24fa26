"""The files of a spec's folder that go into an image: which they are, and their hashes.

A hash that was taken is remembered by the file's size, times and inode, so that a build with nothing changed reads
none of them again.

A kernel may be writing in that folder at the same moment. So nothing is opened by a path that was looked at before:
every folder and file is opened from the folder that holds it, no link is followed on the way, and what is copied is
hashed as it is copied (:class:`InputHash`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..errors import BuildError, Problem, SpecError
from ..lock.model import ArtifactHash, Lock
from ..sandbox.sources import open_linkless
from ..spec.model import DOCKERFILE, LoadedSpec

if TYPE_CHECKING:
    from .dockerfile.taken import Taken
    from .report import Reporter

__all__ = [
    "LEFT_OUT",
    "Entry",
    "HashedReader",
    "InputHash",
    "changed",
    "hash_inputs",
    "hash_paths",
    "input_paths",
    "list_entries",
    "local_packages",
    "open_input",
    "source_path",
    "taken_by_dockerfile",
]

LEFT_OUT = frozenset({".git", "__pycache__", ".ipynb_checkpoints"})
"""Names that are neither hashed nor copied: they change by looking at a folder, not by changing what it says."""


_DEEPEST = 256
"""Folders within folders: each holds a descriptor open."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Entry(NamedTuple):
    """One file, folder or link of an input, relative to it; the input itself is ``""``."""

    path: str
    status: os.stat_result
    target: str
    """A link's."""
    at: int
    """A descriptor of the folder that holds it; of the entry itself where ``name`` is empty. Closed when the next
    entry is asked for."""
    name: str

    @property
    def mode(self) -> int:
        """With the type. Of the permissions one counts, as for git: whether it may be executed. The others are those of
        whoever checked it out (umask), and the same lock gives the same image for all of them."""
        mode = self.status.st_mode
        executable = stat.S_ISDIR(mode) or mode & 0o111
        return stat.S_IFMT(mode) | (0o755 if executable else 0o644)

    def open(self) -> BufferedReader:
        """The file, open for reading. :class:`OSError` where it is none any more."""
        handle = os.open(self.name, _FILE, dir_fd=self.at) if self.name else os.open(f"/proc/self/fd/{self.at}", _READ)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, "it is not a regular file any more", self.path or self.name)
        return os.fdopen(handle, "rb")


_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class _Known(msgspec.Struct, frozen=True, array_like=True):
    """A file's identity when it was hashed, and its hash."""

    size: int
    modified: int
    changed: int
    inode: int
    sha256: str


def hash_inputs(loaded: LoadedSpec, lock: Lock, memory: Path) -> tuple[ArtifactHash, ...]:
    """The inputs of *loaded*, sorted by path: sources of ``build.copy``, local Python packages and archives of some,
    and a Dockerfile with what it takes in, as one, by the name of the spec's origin.

    *memory* is a folder for what is remembered between builds. :class:`SpecError` for inputs that can't be read or
    lie outside of the spec's folder, all of them together.
    """
    found = hash_paths(loaded, input_paths(loaded, lock), memory)
    return tuple(ArtifactHash(path=path, sha256=digest) for path, digest in sorted(found.items()))


def input_paths(loaded: LoadedSpec, lock: Lock) -> tuple[str, ...]:
    """Paths of the inputs as the spec and the lock have them."""
    docker = [loaded.spec.origin] if loaded.spec.build.dockerfile else []
    copies = (copy.source for copy in loaded.spec.build.copy)
    return tuple(dict.fromkeys([*docker, *copies, *local_packages(lock), *_local_archives(lock)]))


def hash_paths(loaded: LoadedSpec, paths: Sequence[str], memory: Path) -> dict[str, str]:
    """The hash of each of *paths*; as :func:`hash_inputs`."""
    if not paths:
        return {}
    remembered = memory / (hashlib.sha256(os.fsencode(loaded.folder)).hexdigest()[:32] + ".json")
    known = _read(remembered)
    fresh: dict[str, _Known] = {}
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            found[path] = _hash(loaded, path, known, fresh)
        except (OSError, ValueError) as error:
            cause = f"{path}: {getattr(error, 'strerror', None) or error}"
            problems.append(Problem(str(loaded.file or loaded.folder), cause))
    if problems:
        raise SpecError("files that the build takes in cannot be read", problems=problems)
    if fresh != known:
        memory.mkdir(parents=True, exist_ok=True)
        temporary = remembered.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        temporary.write_bytes(msgspec.json.encode(fresh))
        temporary.replace(remembered)
    return found


def local_packages(lock: Lock) -> tuple[str, ...]:
    """Folders of the spec that are Python packages to install (PEP 751 ``directory``), as the lock has them."""
    if lock.python is None:
        return ()
    packages: list[dict[str, Any]] = lock.python.pylock.get("packages", [])
    return tuple(package["directory"]["path"] for package in packages if "directory" in package)


def _local_archives(lock: Lock) -> tuple[str, ...]:
    """Wheels and source archives that lie in the spec's folder."""
    packages: list[dict[str, Any]] = lock.python.pylock.get("packages", []) if lock.python is not None else []
    return tuple(package["archive"]["path"] for package in packages if "path" in package.get("archive", {}))


def source_path(loaded: LoadedSpec, path: str) -> Path:
    """Where an input lies: inside the spec's folder once every link is followed, else :class:`ValueError`."""
    return _inside(loaded.folder, path)


def _inside(folder: Path, path: str) -> Path:
    folder = folder.resolve()
    real = (folder / path).resolve(strict=True)
    if not real.is_relative_to(folder):
        raise ValueError(f"leads to {real}, outside of the spec's folder")
    return real


def open_input(folder: Path, path: str) -> BufferedReader:
    """A file of the spec's *folder*, open for reading. :class:`OSError`, :class:`ValueError` as for
    :func:`source_path`."""
    entries = list_entries(_inside(folder, path))  # its end would close what the entry is opened from
    return next(entries).open()


def list_entries(source: Path, *, without: Path | None = None) -> Iterator[Entry]:
    """*source* (a path without links) and all in it, folders before what they hold, by name; links are told, not
    followed. An entry can be opened until the next one is asked for."""
    top = open_linkless(str(source))
    try:
        status = os.fstat(top)
        yield Entry("", _known_kind(status, str(source)), "", top, "")
        if stat.S_ISDIR(status.st_mode):
            folder = os.open(".", _FOLDER, dir_fd=top)
            try:
                yield from _below(folder, "", _relative(without, source), 0)
            finally:
                os.close(folder)
    finally:
        os.close(top)


def _below(folder: int, path: str, without: str, depth: int) -> Iterator[Entry]:
    if depth > _DEEPEST:
        raise OSError(errno.ELOOP, f"it has more than {_DEEPEST} folders within folders", path)
    for name in sorted(name for name in os.listdir(folder) if name not in LEFT_OUT):
        inside = f"{path}/{name}" if path else name
        if inside == without:
            continue
        status = _known_kind(os.stat(name, dir_fd=folder, follow_symlinks=False), inside)
        if stat.S_ISLNK(status.st_mode):
            yield Entry(inside, status, os.readlink(name, dir_fd=folder), folder, name)
            continue
        yield Entry(inside, status, "", folder, name)
        if stat.S_ISDIR(status.st_mode):
            below = os.open(name, _FOLDER, dir_fd=folder)
            try:
                yield from _below(below, inside, without, depth + 1)
            finally:
                os.close(below)


def _known_kind(status: os.stat_result, path: str) -> os.stat_result:
    if stat.S_IFMT(status.st_mode) in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}:
        return status
    raise OSError(errno.EINVAL, f"{path} is neither a file, a folder nor a link")


def _relative(path: Path | None, source: Path) -> str:
    return str(path.relative_to(source)) if path is not None and path.is_relative_to(source) else ""


class InputHash:
    """The hash of an input, taken entry by entry in the order of :func:`list_entries`."""

    def __init__(self) -> None:
        self._total = hashlib.sha256()
        self._first: tuple[int, str] | None = None

    def add(self, entry: Entry, content: str = "") -> None:
        """*content*: the SHA-256 of a file's bytes, in hex."""
        if self._first is None:
            self._first = (entry.mode, content)
        if not stat.S_ISREG(entry.mode):
            content = hashlib.sha256(os.fsencode(entry.target)).hexdigest()
        kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d"}.get(stat.S_IFMT(entry.mode), "l")
        mode = 0 if kind == "l" else stat.S_IMODE(entry.mode)
        self._total.update(os.fsencode(f"{kind} {mode:o} {content} {entry.path}\0"))

    def hexdigest(self) -> str:
        """Of a folder over all that is in it; of a file as sha256sum gives it, unless it may be executed."""
        first, content = self._first or (0, "")
        if not stat.S_ISREG(first):
            return self._total.hexdigest()
        mode = stat.S_IMODE(first)
        return content if mode == 0o644 else hashlib.sha256(f"{mode:o} {content}".encode()).hexdigest()


class HashedReader:
    """A file's bytes on their way somewhere else, and their hash."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        return data

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def changed(path: str, reporter: Reporter) -> BuildError:
    """The error for an input that is not what was hashed a moment ago."""
    return BuildError(
        f"{path} was changed while it was taken in", step=reporter.title, log=reporter.log,
        hint="build again once nothing writes there",
    )  # fmt: skip


def _hash(loaded: LoadedSpec, path: str, known: Mapping[str, _Known], fresh: dict[str, _Known]) -> str:
    if path.startswith(DOCKERFILE):
        return _hash_dockerfile(loaded, known, fresh)
    source = source_path(loaded, path)
    total = InputHash()
    # The lock holds this hash: it can't be part of it.
    for entry in list_entries(source, without=loaded.lock_file):
        file = source / entry.path if entry.path else source
        is_file = stat.S_ISREG(entry.mode)
        total.add(entry, _hash_file(entry.status, entry.open, str(file), known, fresh) if is_file else "")
    return total.hexdigest()


def taken_by_dockerfile(loaded: LoadedSpec) -> tuple[Taken, ...]:
    """What the spec's Dockerfile takes in: see :func:`.dockerfile.taken.list_taken`."""
    from .dockerfile.taken import list_taken  # late: few specs have one

    build = loaded.spec.build
    return list_taken(
        loaded, dockerfile=source_path(loaded, build.dockerfile), context=source_path(loaded, build.context),
        without=LEFT_OUT,
    )  # fmt: skip


def _hash_dockerfile(loaded: LoadedSpec, known: Mapping[str, _Known], fresh: dict[str, _Known]) -> str:
    total = hashlib.sha256()
    for taken in taken_by_dockerfile(loaded):
        content = hashlib.sha256(os.fsencode(taken.target)).hexdigest()
        kind, mode = "l", 0
        if stat.S_ISREG(taken.mode):
            content = _hash_file(taken.file.lstat(), taken.open, str(taken.file), known, fresh)
            kind, mode = "f", stat.S_IMODE(taken.mode)
        elif stat.S_ISDIR(taken.mode):
            kind, mode = "d", stat.S_IMODE(taken.mode)
        total.update(os.fsencode(f"{kind} {mode:o} {content} {taken.path}\0"))
    return total.hexdigest()


def _hash_file(
    status: os.stat_result,
    opened: Callable[[], BufferedReader],
    file: str,
    known: Mapping[str, _Known],
    fresh: dict[str, _Known],
) -> str:
    found = known.get(file)
    if found is None or (found.size, found.modified, found.changed, found.inode) != _identity(status):
        with opened() as stream:
            status = os.fstat(stream.fileno())
            found = _Known(*_identity(status), hashlib.file_digest(stream, "sha256").hexdigest())
    # A file that was changed a moment ago may be changed again within the clock's grain: not worth remembering.
    if time.time_ns() - status.st_ctime_ns > 2_000_000_000:
        fresh[file] = found
    return found.sha256


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _read(file: Path) -> dict[str, _Known]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, _Known])
    except (OSError, msgspec.DecodeError):
        return {}
