"""``jupyter-container.lock``: reading, checking and writing it. The layout is described in docs/lock.md.

What is read is not trusted: a lock comes with a repository, and a build takes file names and URLs from it.
"""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from ..errors import LockError, Problem
from .filetext import dump
from .model import Lock

__all__ = ["VERSION", "dump_lock", "read_lock", "write_lock"]

VERSION = 1
_HEADER = (
    "# Written by `jupyter containers lock`. Keep it under version control; do not edit it by hand.\n"
    "# `jupyter containers lock --upgrade [NAME]` takes newer versions.\n\n"
)
_REMEDY = "Run `jupyter containers lock`"
_LARGEST = 64 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERSION = re.compile(r"[A-Za-z0-9.+~:-]+")
_PYTHON = re.compile(r"3\.[0-9]{1,3}")
_KINDS = frozenset({"debian", "oci", "environment", "scratch"})


def read_lock(path: Path) -> Lock:
    """The lock in *path*. :class:`LockError` with file, line and cause of everything that is wrong in it."""
    try:
        content = path.read_bytes()
        if len(content) > _LARGEST:
            raise _damaged(path, [Problem(str(path), f"is larger than {_LARGEST >> 20} MiB", _REMEDY)])
        text = content.decode("utf-8")
    except FileNotFoundError as error:
        raise LockError(f"there is no {path}", hint="run `jupyter containers lock`") from error
    except OSError as error:
        raise LockError(f"cannot read {path}: {error.strerror}", hint="correct its owner or mode") from error
    except UnicodeDecodeError as error:
        raise _damaged(path, [Problem(str(path), f"is not UTF-8 text: {error.reason}", _REMEDY)]) from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        cause = f"is not TOML: {error}" + (" (a merge conflict?)" if "<<<<<<<" in text else "")
        raise _damaged(path, [Problem(str(path), cause, _REMEDY, line=int(place[1]) if place else None)]) from error
    version = document.get("version")
    if version != VERSION:
        cause = f"version {version!r} of the lock format is not known; this program reads {VERSION}"
        remedy = "Update jupyter_containers" if isinstance(version, int) and version > VERSION else _REMEDY
        raise _damaged(path, [Problem(str(path), cause, remedy, "version", _line(text, ("version",)))])
    try:
        lock = msgspec.convert(_to_model(document), Lock)
    except msgspec.ValidationError as error:
        cause, _, place = str(error).partition(" - at `$")
        key = _key_of(place.rstrip("`"))
        problem = Problem(str(path), cause, _REMEDY, _dotted(key), _line(text, key))
        raise _damaged(path, [problem]) from error
    problems = [Problem(str(path), cause, _REMEDY, _dotted(key), _line(text, key)) for key, cause in _find_wrong(lock)]
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


def _find_wrong(lock: Lock) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(place, cause) of values that are of the right type and can't be right."""
    if not _DIGEST.fullmatch(lock.spec_digest):
        yield ("spec-digest",), "is not sha256: and 64 hex digits"
    if lock.base.kind not in _KINDS:
        yield ("base", "kind"), f"{lock.base.kind!r} is none of {', '.join(sorted(_KINDS))}"
    if lock.base.kind == "debian" and not lock.base.packages:
        yield ("base", "packages"), "is missing"
    if lock.base.kind != "debian" and not _DIGEST.fullmatch(lock.base.digest):
        yield ("base", "digest"), "is not sha256: and 64 hex digits"
    for table, groups in (("base", lock.base.packages), ("apt", lock.apt)):
        for architecture, packages in groups.items():
            place = ("base", "packages", architecture) if table == "base" else ("apt", architecture)
            if not _ARCHITECTURE.fullmatch(architecture):
                yield place, f"{architecture!r} is no architecture"
            names: set[str] = set()
            for number, package in enumerate(packages):
                for cause in _wrong_package(package, architecture, names):
                    yield (*place, number), cause
    for number, item in enumerate(lock.inputs):
        if not _SHA256.fullmatch(item.sha256):
            yield ("inputs", number), f"{item.path}: its sha256 is not 64 hex digits"
    if lock.python is not None:
        yield from _wrong_python(lock)


def _wrong_package(package: Any, architecture: str, names: set[str]) -> Iterator[str]:
    if not _PACKAGE.fullmatch(package.name):
        yield f"{package.name!r} is no package name"
    if package.name in names:
        yield f"{package.name} is there twice"
    names.add(package.name)
    if not _VERSION.fullmatch(package.version):
        yield f"{package.name}: {package.version!r} is no version"
    if package.architecture not in {architecture, "all"}:
        yield f"{package.name} is for {package.architecture}"
    if not _is_inside(package.filename) or not package.filename.endswith(".deb"):
        yield f"{package.name}: {package.filename!r} is no path in an archive"
    if not _SHA256.fullmatch(package.sha256):
        yield f"{package.name}: its sha256 is not 64 hex digits"
    if package.size <= 0:
        yield f"{package.name}: {package.size} bytes cannot be its size"
    if package.archive and not package.archive.startswith(("http://", "https://")):
        yield f"{package.name}: {package.archive!r} is no http(s) address"


def _wrong_python(lock: Lock) -> Iterator[tuple[tuple[str | int, ...], str]]:
    assert lock.python is not None
    interpreter, document = lock.python.interpreter, lock.python.pylock
    if not _PYTHON.fullmatch(interpreter.version):
        yield ("python", "interpreter", "version"), f"{interpreter.version!r} is not of the form 3.13"
    for key, path in (("path", interpreter.path), ("environment", interpreter.environment)):
        if not path.startswith("/") or not _is_inside(path[1:]):
            yield ("python", "interpreter", key), f"{path!r} is no absolute path"
    if document.get("lock-version") != "1.0":
        yield ("python", "lock-version"), f"{document.get('lock-version')!r} is not PEP 751's 1.0"
    packages = document.get("packages", [])
    if not isinstance(packages, list):
        yield ("python", "packages"), "is no list"
        return
    for number, package in enumerate(packages):
        for cause in _wrong_python_package(package):
            yield ("python", "packages", number), cause


def _wrong_python_package(package: Any) -> Iterator[str]:
    if not isinstance(package, dict) or not isinstance(package.get("name"), str):
        yield "a package without a name"
        return
    name = package["name"]
    files = package.get("wheels", [])
    files = [
        *(files if isinstance(files, list) else [files]),
        *(package[key] for key in ("sdist", "archive") if key in package),
    ]
    others = [key for key in ("directory", "vcs") if isinstance(package.get(key), dict)]
    if not files and not others:
        yield f"{name} has no file"
    for entry in files:
        if not isinstance(entry, dict):
            yield f"{name}: a file that is no table"
            continue
        digest = entry.get("hashes", {}).get("sha256") if isinstance(entry.get("hashes"), dict) else None
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            yield f"{name}: a file without a sha256 of 64 hex digits"
        url, path = entry.get("url"), entry.get("path")
        if isinstance(url, str):
            if not url.startswith(("http://", "https://")):
                yield f"{name}: {url!r} is no http(s) address"
        elif not isinstance(path, str) or not _is_inside(path):
            yield f"{name}: {path!r} is no path inside of the spec's folder"
    directory = package.get("directory")
    if isinstance(directory, dict):
        path = directory.get("path")
        if not isinstance(path, str) or not (path == "." or _is_inside(path)):
            yield f"{name}: {path!r} is no path inside of the spec's folder"
    vcs = package.get("vcs")
    if isinstance(vcs, dict) and not all(isinstance(vcs.get(key), str) for key in ("type", "url", "commit-id")):
        yield f"{name}: a repository needs type, url and commit-id"


def _is_inside(path: str) -> bool:
    """A relative path that stays where it starts."""
    return bool(path) and not path.startswith("/") and "\\" not in path and ".." not in PurePosixPath(path).parts


def _damaged(path: Path, problems: list[Problem]) -> LockError:
    return LockError(
        f"{path.name} is damaged", problems=problems, hint="run `jupyter containers lock` to write it anew"
    )


def _key_of(place: str) -> tuple[str | int, ...]:
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


def _dotted(key: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")


def _line(text: str, key: tuple[str | int, ...]) -> int | None:
    from ..spec.positions import Positions

    return Positions(text).line(key)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
