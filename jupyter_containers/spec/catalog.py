"""The catalog: which environments this user has by name. One JSON record each, replaced atomically."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from ..errors import ConflictError, NotFoundError
from ..paths import Paths

__all__ = ["Record", "find_record", "forget", "list_records", "record"]


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


def list_records(paths: Paths) -> tuple[Record, ...]:
    """All environments of the user, by name."""
    found = (_read(file) for file in sorted(paths.environments.glob("*.json")))
    return tuple(item for item in found if item is not None)


def find_record(paths: Paths, name: str) -> Record:
    """The record of *name*; :class:`NotFoundError` names the ones that exist."""
    found = _read(paths.environments / f"{name}.json") if "/" not in name else None
    if found is None:
        known = ", ".join(item.name for item in list_records(paths)) or "none yet"
        raise NotFoundError(
            f"no environment named {name!r} (known: {known})",
            hint="`jupyter containers build FOLDER` makes one from a folder's spec",
        )
    return found


def record(paths: Paths, entry: Record) -> None:
    """Write *entry*. :class:`ConflictError` where another spec already has the name."""
    file = paths.environments / f"{entry.name}.json"
    present = _read(file)
    if present is not None and present.spec_file != entry.spec_file and Path(present.spec_file).exists():
        raise ConflictError(
            f"the name {entry.name!r} belongs to {present.spec_file}",
            hint=f"give {entry.spec_file} another `name`, or run `jupyter containers env remove {entry.name}`",
        )
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".record-")
    with os.fdopen(handle, "wb") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(entry)))
        stream.flush()
        os.fsync(stream.fileno())
    Path(temporary).replace(file)


def forget(paths: Paths, name: str) -> Record:
    """Remove the record of *name* and return it; the image stays in the store."""
    entry = find_record(paths, name)
    (paths.environments / f"{name}.json").unlink(missing_ok=True)
    return entry


def _read(file: Path) -> Record | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError):
        # A damaged record is worth less than a working list: building again writes it anew.
        return None
