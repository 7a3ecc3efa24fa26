"""A spec, its lock and its inputs such as they can be read on another machine, and the same looked over there.

A spec may be made of several files of other tools, and name files outside of its folder's native format. What goes out
is one jupyter-container.toml that says the same: the user's own text where it can stand alone, else a written one.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..errors import InputError, LockError, Problem, SpecError, UntrustedContentError
from ..lock.file import dump_lock, read_lock, write_lock
from ..lock.fit import spec_digest
from ..lock.model import Lock
from ..spec.dump import dump_spec
from ..spec.files import NATIVE
from ..spec.inputs import find_missing_inputs
from ..spec.load import load_spec
from ..spec.model import DOCKERFILE, LoadedSpec
from ..spec.reading import Folder
from .inputs import (
    LEFT_OUT,
    HashedReader,
    InputHash,
    hash_inputs,
    list_entries,
    source_path,
    taken_by_dockerfile,
)
from .kept import LOCK_NAME

__all__ = ["check_received", "make_portable"]

_PIECE = 1 << 20
_TOLD = 5
"""Problems of foreign files that are shown."""


def make_portable(loaded: LoadedSpec, lock: Lock, folder: Path, *, memory: Path) -> tuple[str, bytes]:
    """Put the inputs of *loaded*, and a spec that says the same, into the empty *folder*, which has the environment's
    name. Returns the texts of the spec and of a lock that fits it.

    *memory*: for hashes, as :func:`.inputs.hash_inputs` has it. :class:`InputError` where an input is not what the
    lock says: the folder was written to since.
    """
    for item in lock.inputs:
        if item.path.startswith(DOCKERFILE):
            _copy_taken(loaded, folder)
        elif _copy(loaded, item.path, folder) != item.sha256:
            raise _changed(item.path)
    text = _own_text(loaded, folder) or _written_text(loaded, lock, folder)
    here = load_spec(folder)
    inputs = hash_inputs(here, lock, memory)
    for item in lock.inputs:
        if item.path.startswith(DOCKERFILE) and item not in inputs:
            raise _changed(item.path.removeprefix(DOCKERFILE))
    fitting = msgspec.structs.replace(lock, spec_digest=spec_digest(here), inputs=inputs)
    return text, dump_lock(fitting).encode()


def check_received(folder: Path, name: str, *, memory: Path) -> tuple[LoadedSpec, Lock]:
    """The spec, called *name* from now on, and the lock that lie in *folder*, which came from elsewhere.

    Raises :class:`UntrustedContentError` where lock, inputs and spec do not belong together, or other files are there.
    """
    try:
        loaded = load_spec(folder)
        lock = read_lock(loaded.lock_file)
        problems = [*find_missing_inputs(loaded), *_strays(loaded, lock)]
        if spec_digest(loaded) != lock.spec_digest:
            problems.append(Problem(LOCK_NAME, f"is not the lock of the {NATIVE} beside it"))
        if problems:
            told = "; ".join(map(str, problems[:_TOLD]))
            raise UntrustedContentError(f"the environment's files do not belong together: {told}")
        if hash_inputs(loaded, lock, memory) != lock.inputs:
            raise UntrustedContentError("the environment's files are not those that its lock names")
    except (SpecError, LockError) as error:
        raise UntrustedContentError(f"what came as an environment can't be read: {error.message}") from error
    if loaded.spec.name != name:
        _rename(folder, name)
        loaded = load_spec(folder)
        inputs = hash_inputs(loaded, lock, memory)
        if inputs != lock.inputs:  # the spec itself is one of them
            lock = msgspec.structs.replace(lock, inputs=inputs)
            write_lock(loaded.lock_file, lock)
    return loaded, lock


def _copy(loaded: LoadedSpec, path: str, folder: Path) -> str:
    """Copy an input, as it would be copied into an image, to its place in *folder*; its hash."""
    total = InputHash()
    try:
        for entry in list_entries(source_path(loaded, path), without=loaded.lock_file):
            target = folder / path / entry.path if entry.path else folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            content = ""
            if stat.S_ISREG(entry.mode):
                target.unlink(missing_ok=True)  # of an input that holds this one
                with entry.open() as stream, target.open("xb") as copy:
                    reader = HashedReader(stream)
                    while piece := reader.read(_PIECE):
                        copy.write(piece)
                content = reader.hexdigest()
                target.chmod(stat.S_IMODE(entry.mode) & 0o777)
            elif stat.S_ISDIR(entry.mode):
                target.mkdir(exist_ok=True)
                target.chmod(stat.S_IMODE(entry.mode) & 0o777 | 0o700)
            else:
                target.unlink(missing_ok=True)
                target.symlink_to(entry.target)
            total.add(entry, content)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't go along: {getattr(error, 'strerror', None) or error}") from error
    return total.hexdigest()


def _copy_taken(loaded: LoadedSpec, folder: Path) -> None:
    """Copy what the Dockerfile takes in; whether it is what was locked shows when it is hashed there."""
    try:
        for taken in taken_by_dockerfile(loaded):
            target = folder / taken.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISDIR(taken.mode):
                target.mkdir(exist_ok=True)
                target.chmod(stat.S_IMODE(taken.mode) & 0o777 | 0o700)
                continue
            target.unlink(missing_ok=True)
            if stat.S_ISLNK(taken.mode):
                target.symlink_to(taken.target)
                continue
            with taken.open() as stream, target.open("xb") as copy:
                shutil.copyfileobj(stream, copy)
            target.chmod(stat.S_IMODE(taken.mode) & 0o777)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise InputError(f"{loaded.spec.build.dockerfile} can't go along: {cause}") from error


def _changed(path: str) -> InputError:
    return InputError(f"{path} was changed since the environment was built", hint="do it again")


def _own_text(loaded: LoadedSpec, folder: Path) -> str:
    """The user's text, where it is a native spec that says the same without the files beside it; else empty."""
    file = loaded.file
    if file is None or file.suffix != ".toml" or file.name == "pyproject.toml" or loaded.pylock is not None:
        return ""
    text = Folder(loaded.folder).read_text(file.name)
    _write(folder / NATIVE, text)
    try:
        found = load_spec(folder)
    except SpecError:
        return ""
    return text if found.spec == loaded.spec else ""


def _written_text(loaded: LoadedSpec, lock: Lock, folder: Path) -> str:
    packages = msgspec.structs.replace(loaded.spec.packages, groups=(), extras=())
    if loaded.pylock is not None:
        packages = msgspec.structs.replace(packages, pip=tuple(_pins(lock)))
    text = dump_spec(msgspec.structs.replace(loaded.spec, packages=packages))
    _write(folder / NATIVE, text)
    return text


def _pins(lock: Lock) -> Iterator[str]:
    """The packages of an adopted lock as requirements: the spec does not name them, and that lock stays behind."""
    for package in lock.python.pylock.get("packages", ()) if lock.python is not None else ():
        marker = f" ; {package['marker']}" if package.get("marker") else ""
        if (directory := package.get("directory")) is not None:
            yield f"./{directory['path']}".replace("./.", ".") + marker
        elif (vcs := package.get("vcs")) is not None:
            yield f"{package['name']} @ {vcs['type']}+{vcs['url']}@{vcs['commit-id']}{marker}"
        elif "version" in package:
            yield f"{package['name']}=={package['version']}{marker}"


def _write(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)


def _rename(folder: Path, name: str) -> None:
    import tomlkit

    text = Folder(folder).read_text(NATIVE)
    document = tomlkit.parse(text)
    if "name" in document:
        document["name"] = name
        _write(folder / NATIVE, tomlkit.dumps(document))
    else:
        # Before all tables, and after the comments at the top.
        head = re.match(r"(?:[ \t]*#[^\n]*\n|[ \t]*\n)*", text)
        place = head.end() if head else 0
        _write(folder / NATIVE, f'{text[:place]}name = "{name}"\n{text[place:]}')


def _strays(loaded: LoadedSpec, lock: Lock) -> Iterator[Problem]:
    """Files that are no part of the environment: what lies in a folder is trusted by others (a ``.git`` by git)."""
    named = [item.path for item in lock.inputs if not item.path.startswith(DOCKERFILE)]
    exact = {taken.path for taken in taken_by_dockerfile(loaded)} if loaded.spec.build.dockerfile else set()
    wanted = {NATIVE, LOCK_NAME, *named}
    above = {str(parent) for path in (*wanted, *exact) for parent in Path(path).parents} | exact
    for top, folders, files in os.walk(loaded.folder):
        below = Path(top).relative_to(loaded.folder)
        for name in sorted([*folders, *files]):
            path = str(below / name)
            inside = "." in wanted or path in above or any(path == one or path.startswith(f"{one}/") for one in wanted)
            if name in LEFT_OUT or not inside:
                yield Problem(path, "is no part of the environment")
