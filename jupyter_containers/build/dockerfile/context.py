"""The files of a build: the Dockerfile, the context's folder, and its .dockerignore."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from .model import Dockerfile
from .parser import parse
from .patterns import Ignore, parse_ignore
from .sources import LocalSource

__all__ = ["find_dockerfile", "find_ignore", "open_context"]

_NAMES = ("Dockerfile", "Containerfile")
_LARGEST = 1 << 20


def open_context(folder: Path, file: Path | None, text: str | None) -> tuple[Dockerfile, LocalSource]:
    """The Dockerfile, read, and what COPY may take. :class:`InputError` with all that is wrong.

    *file* None: :func:`find_dockerfile`; *text*: the Dockerfile itself, from a pipe.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder", hint="the build context is a folder of this host")
    path = None if text is not None else file or find_dockerfile(folder)
    name = "Dockerfile" if path is None else _shown(path, folder)
    dockerfile = parse(_read(path) if path is not None else text or "", name)
    return dockerfile, LocalSource(folder.resolve(), name="the build context", ignore=_ignore(folder, path))


def find_dockerfile(folder: Path) -> Path:
    """``Dockerfile`` or ``Containerfile`` in *folder*; :class:`InputError` where there is neither."""
    for name in _NAMES:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} has no {' and no '.join(_NAMES)}", hint="name the file with -f")


def _ignore(folder: Path, path: Path | None) -> Ignore:
    """The Dockerfile's own ``NAME.dockerignore`` beside it, else the context's .dockerignore."""
    for file in find_ignore(folder, path):
        return parse_ignore(_read(file), file.name)
    return Ignore()


def find_ignore(folder: Path, path: Path | None) -> tuple[Path, ...]:
    """The file that tells what is left out of the context *folder*, where there is one."""
    own = path.with_name(path.name + ".dockerignore") if path is not None else None
    for candidate in (own, folder / ".dockerignore"):
        if candidate is not None and candidate.is_file():
            return (candidate,)
    return ()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise InputError(f"{path} has more than {_LARGEST} bytes", hint="is it a Dockerfile?")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _shown(path: Path, folder: Path) -> str:
    try:
        return str(path.absolute().relative_to(folder.absolute()))
    except ValueError:
        return str(path)
