"""``jupyter-container.lock``: reading, checking and writing it. The layout is described in docs/lock.md.

What is read is not trusted: a lock comes with a repository, and a build takes file names and URLs from it.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import LockError, Problem
from ..misfits import find_misfit
from ..spec.toml import read_toml
from .filecheck import Place, find_wrong
from .filetext import dump
from .model import Lock

__all__ = ["VERSION", "dump_lock", "parse_lock", "read_content", "read_lock", "write_lock"]

VERSION = 1
_HEADER = (
    "# Written by `jupyter containers lock`. Keep it under version control; do not edit it by hand.\n"
    "# `jupyter containers lock --upgrade [NAME]` takes newer versions.\n\n"
)
_LARGEST = 64 << 20


def read_lock(path: Path) -> Lock:
    """The lock in *path*. :class:`LockError` with file, line and cause of everything that is wrong in it."""
    content = read_content(path)
    if content is None:
        raise LockError(f"there is no {path}", hint="run `jupyter containers lock`")
    return parse_lock(content, str(path))


def read_content(path: Path) -> bytes | None:
    """The bytes of a lock's file; None where there is none. :class:`LockError` where they can't be read."""
    try:
        # A kernel may have put something else there, a pipe for one, that would never be read to its end.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise LockError(f"{path} is not a regular file", hint="remove it")
            return stream.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockError(f"cannot read {path}: {error.strerror}", hint="correct its owner or mode") from error


def parse_lock(content: bytes, path: str) -> Lock:
    """The lock in a file's *content*; *path* names it in errors, which are those of :func:`read_lock`."""
    try:
        if len(content) > _LARGEST:
            raise _damaged(path, [Problem(path, f"is larger than {_LARGEST >> 20} MiB")])
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _damaged(path, [Problem(path, f"is not UTF-8 text: {error.reason}")]) from error
    try:
        document = read_toml(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        cause = f"is not TOML: {error}" + (" (a merge conflict?)" if "<<<<<<<" in text else "")
        raise _damaged(path, [Problem(path, cause, line=int(place[1]) if place else None)]) from error
    version = document.get("version")
    if version != VERSION:
        cause = f"version {version!r} of the lock format is not known; this program reads {VERSION}"
        remedy = "Update jupyter_containers" if isinstance(version, int) and version > VERSION else ""
        raise _damaged(path, [Problem(path, cause, remedy, "version", _line(text, ("version",)))])
    try:
        lock = msgspec.convert(_to_model(document), Lock)
    except msgspec.ValidationError as error:
        key = _key_of(str(error).partition(" - at `$")[2].rstrip("`"))
        problem = Problem(path, find_misfit(error).cause, key=_dotted(key), line=_line(text, key))
        raise _damaged(path, [problem]) from error
    problems = [Problem(path, cause, key=_dotted(key), line=_line(text, key)) for key, cause in find_wrong(lock)]
    if problems:
        raise _damaged(path, problems)
    return lock


def write_lock(path: Path, lock: Lock) -> bool:
    """Write *lock*, whole or not at all; False where the file says so already. :class:`LockError` if it can't."""
    text = dump_lock(lock)
    try:
        if path.read_text("utf-8") == text:
            return False
    except (OSError, UnicodeDecodeError):
        pass  # there is none, or none worth keeping
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
                # The mode of a file that a person shares, not mkstemp's 0600.
                os.fchmod(stream.fileno(), path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LockError(f"cannot write {path}: {error.strerror}", hint="make its folder writable") from error
    return True


def dump_lock(lock: Lock) -> str:
    """The file's text: sorted, a line for each .deb and each wheel."""
    document = msgspec.to_builtins(lock)
    # Defaults are left out by the model; the format's version is what a reader looks for first.
    ordered: dict[str, Any] = {"version": lock.version, "spec-digest": lock.spec_digest}
    if lock.inputs:
        ordered["inputs"] = document["inputs"]
    if lock.added:
        ordered["added"] = document["added"]
    ordered["base"] = document["base"]
    if lock.apt:
        ordered["apt"] = document["apt"]
    if lock.python is not None:
        ordered["python"] = {"interpreter": document["python"]["interpreter"], **_sorted_pylock(lock.python.pylock)}
    return _HEADER + dump(ordered)


_PYLOCK_ORDER = ("lock-version", "environments", "requires-python", "created-by")


def _sorted_pylock(document: Mapping[str, Any]) -> dict[str, Any]:
    first = {key: document[key] for key in _PYLOCK_ORDER if key in document}
    return {**first, **{key: value for key, value in document.items() if key not in first}}


def _to_model(document: dict[str, Any]) -> dict[str, Any]:
    """In the file the table ``python`` is the PEP 751 document with ``interpreter`` beside it."""
    python = document.get("python")
    if not isinstance(python, dict):
        return document
    pylock = {key: value for key, value in python.items() if key != "interpreter"}
    interpreter = {"interpreter": python["interpreter"]} if "interpreter" in python else {}
    return {**document, "python": {**interpreter, "pylock": pylock}}


def _damaged(path: str, problems: list[Problem]) -> LockError:
    return LockError(
        f"{path.rpartition('/')[2]} is damaged",
        problems=problems,
        hint="take it from version control again; or remove it: `jupyter containers lock` writes a new one",
    )


def _key_of(place: str) -> Place:
    """msgspec's ``.base.packages[...][3].size`` as a key; without the name that it leaves out."""
    parts: list[str | int] = []
    for name, number in re.findall(r"\.([A-Za-z0-9_-]+)|\[(\d+|\.\.\.)\]", place):
        if name:
            parts.append(name)
        elif number.isdigit():
            parts.append(int(number))
        else:
            break
    return tuple(part for part in parts if part != "pylock")


def _dotted(key: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")


def _line(text: str, key: Place) -> int | None:
    from ..spec.positions import Positions

    return Positions(text).line(key)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
