"""Whether an environment is what its spec says: without resolving, building, or reading more than it takes.

The fingerprint of a build covers the spec, the lock's bytes, the inputs and the version of what steps do. It is kept
in the catalog's record; which inputs it is made of is kept beside (``store/cache/ready``).
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import ContainersError, NotFoundError
from ..image.store import Store
from ..lock.counting import PackageCounts, count_packages
from ..paths import Paths
from ..spec.catalog import Record, find_record
from ..spec.load import load_spec
from ..spec.model import DOCKERFILE, LoadedSpec
from .inputs import hash_paths
from .version import FORMAT

__all__ = [
    "Examined", "Status", "examine", "find_outdated", "fingerprint", "input_memory", "is_of", "remember",
    "spec_location",
]  # fmt: skip


_PINNED = ("debian:", "image:", DOCKERFILE)
"""Bases of which the lock, or an input, says all there is to say."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How an environment stands."""

    state: Literal["not built", "building", "ready", "out of date", "broken"]
    reason: str = ""
    build_id: str | None = None
    """Of the build at work."""
    phase: str = ""
    percent: float | None = None


class _Ready(msgspec.Struct, frozen=True):
    """What is remembered of a successful build: which inputs its fingerprint is made of."""

    fingerprint: str
    inputs: tuple[str, ...]


class Examined(msgspec.Struct, frozen=True):
    """How an environment stands without a build at work, and what that was read from."""

    status: Status
    files: tuple[Path, ...] = ()
    """While none of these changes, the answer stays; the image's presence in the store aside."""
    deep: bool = False
    """Folders are among the inputs: something below them may change without a sign of it at the folder."""
    packages: PackageCounts | None = None


def examine(entry: Record, paths: Paths) -> Examined:
    """The status of *entry* where no build is at work."""
    if entry.image is None:
        return _examine_unbuilt(entry, paths)
    try:
        Store(paths.store).image(entry.image)
    except NotFoundError:
        return Examined(
            Status(state="broken", reason=f"the image {entry.image[:19]}… is not in the store any more"), deep=True
        )
    except ContainersError as error:
        return Examined(Status(state="broken", reason=error.message), deep=True)
    if not entry.spec_file:
        return Examined(Status(state="ready"))
    try:
        loaded = load_spec(Path(entry.spec_file))
        reason = find_outdated(loaded, entry, paths)
    except ContainersError as error:
        return Examined(Status(state="broken", reason=error.message), deep=True)
    from ..lock.fit import host_architecture  # late: commands that start a container get by without

    files, deep = _read_from(loaded, entry, paths)
    packages = count_packages(loaded.lock_file, host_architecture())
    return Examined(Status(state="out of date" if reason else "ready", reason=reason), files, deep, packages)


def _examine_unbuilt(entry: Record, paths: Paths) -> Examined:
    from ..lock.fit import host_architecture  # late, as above

    status = Status(state="not built")
    try:
        loaded = load_spec(Path(entry.spec_file))
    except ContainersError:
        return Examined(status, (Path(entry.spec_file),), deep=True)
    return Examined(status, *_read_from(loaded, entry, paths), count_packages(loaded.lock_file, host_architecture()))


def _read_from(loaded: LoadedSpec, entry: Record, paths: Paths) -> tuple[tuple[Path, ...], bool]:
    """The files that :func:`examine` read, and whether folders with contents are among them."""
    named = [*(item.file for item in loaded.used), *(item.file for item in loaded.ignored)]
    files = [Path(entry.spec_file), loaded.folder, loaded.lock_file, _ready_file(paths, entry.name), *named]
    files += dict.fromkeys(file.parent for file in named)  # a file that comes or goes shows there
    base = loaded.spec.origin
    if base.startswith("env:"):
        files.append(paths.environments / f"{base.partition(':')[2]}.json")
    elif not base.startswith(_PINNED):
        from ..lock.fit import base_file  # late: seldom needed

        files.append(base_file(loaded, base))
    ready = _read_ready(paths, entry.name)
    inputs = [loaded.folder / path for path in (ready.inputs if ready else ())]
    return (*dict.fromkeys(files), *inputs), (
        bool(loaded.spec.build.dockerfile) or any(path.is_dir() for path in inputs)
    )


def find_outdated(loaded: LoadedSpec, entry: Record, paths: Paths) -> str:
    """Empty: the record's image is what a build would give now."""
    ready = _read_ready(paths, entry.name)
    if ready is None or ready.fingerprint != entry.spec_digest:
        return "it was built by an earlier version of this program" if entry.spec_digest else "it is not built yet"
    try:
        lock = loaded.lock_file.read_bytes()
    except FileNotFoundError:
        return f"{loaded.lock_file.name} is missing"
    if fingerprint(loaded, lock, hash_paths(loaded, ready.inputs, input_memory(paths)), paths) == ready.fingerprint:
        return ""
    return "the spec, the lock, or a file that the build takes in has changed"


def spec_location(loaded: LoadedSpec, present: Record | None) -> str:
    """What the catalog has as ``spec_file``: the spec's folder, or the file of a spec that has one to itself."""
    if present is not None and is_of(present, loaded):
        return present.spec_file
    # A folder may be made of several files of other tools (apt.txt beside requirements.txt).
    file = loaded.file
    return str(file if file is not None and loaded.alone else loaded.folder)


def is_of(entry: Record, loaded: LoadedSpec) -> bool:
    """Whether the record is of this spec, and not of another that has the same name."""
    if not entry.spec_file:
        return False
    path = Path(entry.spec_file)
    if loaded.file is not None and path == loaded.file:
        return True
    return path == loaded.folder and not loaded.alone


def fingerprint(loaded: LoadedSpec, lock: bytes, inputs: dict[str, str], paths: Paths) -> str:
    """What tells one build from another: of the spec, the *lock*'s bytes, the hashes of *inputs*, and the base.

    Not of the name, by which it is found: a user may have given it another (:mod:`.naming`).
    """
    spec = msgspec.structs.replace(loaded.spec, name="")
    parts = [str(FORMAT).encode(), msgspec.json.encode(spec, order="sorted"), lock]
    parts += [msgspec.json.encode(inputs, order="sorted"), _base_mark(loaded, paths).encode()]
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return f"sha256:{hashlib.sha256(digests).hexdigest()}"


def _base_mark(loaded: LoadedSpec, paths: Paths) -> str:
    """Changes when a base that is not an archive's may have changed; whether it has is for the lock to say."""
    base = loaded.spec.origin
    if base.startswith(_PINNED):
        return ""
    if base.startswith("env:"):
        try:
            return find_record(paths, base.partition(":")[2]).image or ""
        except NotFoundError:
            return ""
    from ..lock.fit import base_file  # late: seldom needed

    try:
        found = base_file(loaded, base).stat()
    except OSError:
        return ""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def input_memory(paths: Paths) -> Path:
    """Where :mod:`.inputs` remembers hashes."""
    return paths.store / "cache" / "inputs"


def _ready_file(paths: Paths, name: str) -> Path:
    return paths.store / "cache" / "ready" / f"{name}.json"


def _read_ready(paths: Paths, name: str) -> _Ready | None:
    try:
        return msgspec.json.decode(_ready_file(paths, name).read_bytes(), type=_Ready)
    except (OSError, msgspec.DecodeError):
        return None


def remember(paths: Paths, name: str, ready: str, inputs: tuple[str, ...]) -> None:
    """Keep that the environment *name* was built with the fingerprint *ready*, which is made of *inputs*."""
    file = _ready_file(paths, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    temporary.write_bytes(msgspec.json.encode(_Ready(ready, inputs)))
    temporary.replace(file)
