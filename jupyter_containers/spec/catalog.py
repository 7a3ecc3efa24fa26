"""The catalog: which environments this user has by name. One JSON record each, replaced atomically.

Readers take no lock. Writers of all processes take turns (flock(2), which the kernel releases with a process that
is killed), because a name is looked up before it is taken.
"""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import msgspec

from ..errors import ConflictError, NotFoundError
from ..paths import Paths
from .names import check_name, is_name

__all__ = ["Record", "find_record", "forget", "list_records", "record"]

_SHOWN = 20
"""Names in an error, at most."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a named environment."""

    name: str
    display_name: str
    language: str = "python"
    spec_file: str
    """Absolute path of the file or folder that the spec is read from; empty for an image without a spec."""
    image: str | None = None
    """Digest of the image that was built last; None: not built yet."""
    spec_digest: str | None = None
    """Of the spec, the lock and the build inputs that ``image`` was built from: tells *ready* from *out of date*."""
    built_at: float | None = None
    """Seconds since the epoch."""
    renamed: bool = False
    """The name was given at a build, and is not the one that the spec has."""
    granted: str | None = None
    """What the spec took of the host then, as :func:`.grants.grant_of` tells it."""


def list_records(paths: Paths) -> tuple[Record, ...]:
    """All environments of the user, by name."""
    found = (_read(file) for file in sorted(paths.environments.glob("*.json")))
    return tuple(item for item in found if item is not None)


def find_record(paths: Paths, name: str) -> Record:
    """The record of *name*; :class:`NotFoundError` names the ones that exist."""
    found = _read(_file(paths, name)) if is_name(name) else None
    if found is None:
        from difflib import get_close_matches  # late: for mistakes only

        names = [item.name for item in list_records(paths)]
        known = ", ".join([*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])]) or "none yet"
        near = get_close_matches(name, names, 1)
        hint = (
            f"did you mean {near[0]}?" if near else "`jupyter containers build FOLDER` makes one from a folder's spec"
        )
        raise NotFoundError(f"no environment named {name!r} (known: {known})", hint=hint)
    return found


def record(paths: Paths, entry: Record) -> None:
    """Write *entry*. :class:`ConflictError` where another spec already has the name."""
    check_name(entry.name)
    with _turn(paths):
        present = _read(_file(paths, entry.name))
        if present is not None and _belongs_to_another(present, entry):
            raise _taken(paths, present, entry)
        _write(_file(paths, entry.name), msgspec.json.format(msgspec.json.encode(entry)))


def forget(paths: Paths, name: str) -> Record:
    """Remove the record of *name* and return it; the image stays in the store."""
    with _turn(paths):
        entry = find_record(paths, name)
        _file(paths, name).unlink(missing_ok=True)
    return entry


def _taken(paths: Paths, present: Record, entry: Record) -> ConflictError:
    owner = present.spec_file or "an image without a spec"
    if not entry.spec_file:
        hint = f"give the image another name, or run `jupyter containers env remove {entry.name}`"
    else:
        free = next(name for number in count(2) if not _file(paths, name := f"{entry.name[:56]}-{number}").exists())
        hint = (
            f"`jupyter containers build --name {free} {shlex.quote(entry.spec_file)}` builds it under another name; or "
            f"change `name` in its spec, or run `jupyter containers env remove {entry.name}` to forget the other"
        )
    return ConflictError(f"the name {entry.name!r} belongs to {owner}", hint=hint)


def _belongs_to_another(present: Record, entry: Record) -> bool:
    """A name is free again once its spec is gone: a folder that was moved keeps its environment's name."""
    if present.spec_file == entry.spec_file:
        return False
    if not present.spec_file:
        return True
    return Path(present.spec_file).exists() and not (entry.spec_file and _same_spec(present.spec_file, entry.spec_file))


def _same_spec(one: str, other: str) -> bool:
    """A folder and the jupyter-container.toml in it are one spec, and so are two paths to one file."""
    folders = [Path(path).resolve() for path in (one, other)]
    names = [path.parent if path.name == "jupyter-container.toml" else path for path in folders]
    return names[0] == names[1]


@contextmanager
def _turn(paths: Paths) -> Iterator[None]:
    handle = os.open(paths.environments / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _file(paths: Paths, name: str) -> Path:
    return paths.environments / f"{name}.json"


def _write(file: Path, data: bytes) -> None:
    import tempfile  # late: 2 ms that those who look things up need not pay

    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".record-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(file: Path) -> Record | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError):
        # A damaged record is worth less than a working list: building again writes it anew.
        return None
