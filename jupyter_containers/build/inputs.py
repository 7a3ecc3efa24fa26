"""The files of a spec's folder that go into an image: which they are, and their hashes.

A hash that was taken is remembered by the file's size, times and inode, so that a build with nothing changed reads
none of them again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..errors import Problem, SpecError
from ..lock.model import ArtifactHash, Lock
from ..spec.model import LoadedSpec

__all__ = [
    "LEFT_OUT",
    "Entry",
    "hash_inputs",
    "hash_paths",
    "input_paths",
    "list_entries",
    "local_packages",
    "source_path",
]

LEFT_OUT = frozenset({".git", "__pycache__", ".ipynb_checkpoints"})
"""Names that are neither hashed nor copied: they change by looking at a folder, not by changing what it says."""


class Entry(msgspec.Struct, frozen=True):
    """One file, folder or link of an input, relative to it; the input itself is ``""``."""

    path: str
    mode: int
    """As lstat(2) gives it, with the type."""
    target: str
    """A link's."""
    file: Path


class _Known(msgspec.Struct, frozen=True, array_like=True):
    """A file's identity when it was hashed, and its hash."""

    size: int
    modified: int
    changed: int
    inode: int
    sha256: str


def hash_inputs(loaded: LoadedSpec, lock: Lock, memory: Path) -> tuple[ArtifactHash, ...]:
    """The inputs of *loaded*, sorted by path: sources of ``build.copy`` and local Python packages.

    *memory* is a folder for what is remembered between builds. :class:`SpecError` for inputs that can't be read or
    lie outside of the spec's folder, all of them together.
    """
    found = hash_paths(loaded, input_paths(loaded, lock), memory)
    return tuple(ArtifactHash(path=path, sha256=digest) for path, digest in sorted(found.items()))


def input_paths(loaded: LoadedSpec, lock: Lock) -> tuple[str, ...]:
    """Paths of the inputs as the spec and the lock have them."""
    return tuple(dict.fromkeys([*(copy.source for copy in loaded.spec.build.copy), *local_packages(lock)]))


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


def source_path(loaded: LoadedSpec, path: str) -> Path:
    """Where an input lies: inside the spec's folder once every link is followed, else :class:`ValueError`."""
    folder = loaded.folder.resolve()
    real = (folder / path).resolve(strict=True)
    if not real.is_relative_to(folder):
        raise ValueError(f"leads to {real}, outside of the spec's folder")
    return real


def list_entries(source: Path, *, without: Path | None = None) -> Iterator[Entry]:
    """*source* and all in it, folders before what they hold, by name; links are told, not followed."""
    waiting: list[tuple[str, Path]] = [("", source)]
    while waiting:
        path, file = waiting.pop()
        status = file.lstat()
        if stat.S_ISLNK(status.st_mode):
            yield Entry(path, status.st_mode, str(file.readlink()), file)
        elif stat.S_ISDIR(status.st_mode):
            yield Entry(path, status.st_mode, "", file)
            names = sorted(name for name in os.listdir(file) if name not in LEFT_OUT)
            children = [(f"{path}/{name}" if path else name, file / name) for name in names]
            waiting += [child for child in reversed(children) if child[1] != without]
        elif stat.S_ISREG(status.st_mode):
            yield Entry(path, status.st_mode, "", file)
        else:
            raise OSError(errno.EINVAL, f"{file} is neither a file, a folder nor a link")


def _hash(loaded: LoadedSpec, path: str, known: Mapping[str, _Known], fresh: dict[str, _Known]) -> str:
    source = source_path(loaded, path)
    # The lock holds this hash: it can't be part of it.
    entries = list(list_entries(source, without=loaded.lock_file))
    if stat.S_ISREG(entries[0].mode):
        mode = stat.S_IMODE(entries[0].mode)
        content = _hash_file(source, known, fresh)
        # A file's hash alone, as sha256sum gives it, unless its mode is unusual.
        return content if mode in {0o644, 0o664, 0o600} else hashlib.sha256(f"{mode:o} {content}".encode()).hexdigest()
    total = hashlib.sha256()
    for entry in entries:
        if stat.S_ISREG(entry.mode):
            content = _hash_file(entry.file, known, fresh)
        else:
            content = hashlib.sha256(os.fsencode(entry.target)).hexdigest()
        kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d"}.get(stat.S_IFMT(entry.mode), "l")
        mode = 0 if kind == "l" else stat.S_IMODE(entry.mode)
        total.update(os.fsencode(f"{kind} {mode:o} {content} {entry.path}\0"))
    return total.hexdigest()


def _hash_file(file: Path, known: Mapping[str, _Known], fresh: dict[str, _Known]) -> str:
    status = file.stat()
    identity = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    entry = known.get(str(file))
    if entry is None or (entry.size, entry.modified, entry.changed, entry.inode) != identity:
        with file.open("rb") as stream:
            entry = _Known(*identity, hashlib.file_digest(stream, "sha256").hexdigest())
    # A file that was changed a moment ago may be changed again within the clock's grain: not worth remembering.
    if time.time_ns() - status.st_ctime_ns > 2_000_000_000:
        fresh[str(file)] = entry
    return entry.sha256


def _read(file: Path) -> dict[str, _Known]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, _Known])
    except (OSError, msgspec.DecodeError):
        return {}
