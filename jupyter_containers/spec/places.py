"""Where a spec says something, for what is known to be wrong only after reading: a package that no archive has, a
mount's folder that is gone. Looked up when there is something to tell, and not before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import SpecError
from .model import LoadedSpec
from .positions import Positions
from .reading import Folder, parse_toml
from .requirement import distribution_name, normalise_name
from .walk import Key

__all__ = ["find_line", "find_place"]

_TABLE = ("tool", "jupyter-containers")
_WORD = re.compile(r"[A-Za-z0-9]+(?:[._+-]+[A-Za-z0-9]+)*")
_UNTIL = 8
"""Lines that are named, at most."""


def find_line(loaded: LoadedSpec, key: Key, value: str = "") -> int | None:
    """The line of *key* (``("mounts", 0, "source")``) in the file that won, where that is TOML and has it there, with
    *value*: items that reading has added (``-r FILE``, groups) move the others."""
    if loaded.file is None or loaded.file.suffix != ".toml":
        return None
    text = _read(loaded, loaded.file)
    try:
        parse_toml(text, loaded.file.name)  # or the scanner can't be trusted
    except SpecError:
        return None
    lines = Positions(text)
    # Of a key that the file does not have the line would be that of a table around it.
    for start in ((*_TABLE, *key), key):
        line = lines.line(start) if lines.has(start) else None
        if line is not None and value in text.split("\n")[line - 1]:
            return line
    return None


def find_place(loaded: LoadedSpec, message: str) -> str:
    """What *message* on a resolution is about, as ``FILE:LINE``, or ``FILE:LINE,LINE`` for several of the spec's
    packages that it names; the file alone where it names none, and the folder where there is no file."""
    place = str(loaded.file or loaded.folder)
    if message.startswith(("python ", "base ", "there is no suite")):
        key = "python" if message.startswith("python ") else "base"
        line = find_line(loaded, (key,))
        return place if line is None else f"{place}:{line}"
    words = {normalise_name(word) for word in _WORD.findall(message)}
    for file, text in _texts(loaded):
        lines = sorted({line for item in _wishes(loaded) if (line := _line(item, words, text))})
        if lines:
            return f"{file}:{','.join(map(str, lines[:_UNTIL]))}"
    return place


def _wishes(loaded: LoadedSpec) -> Iterator[str]:
    packages = loaded.spec.packages
    yield from packages.pip
    yield from packages.apt
    yield from packages.constraints


def _line(wish: str, words: set[str], text: str) -> int | None:
    """The first line of *text* that has *wish*, where its name is one of *words*."""
    name = distribution_name(wish)
    if name is None or name not in words:
        return None
    bare = wish.partition(" --hash=")[0]
    written = re.compile(rf"(?<![\w.-]){re.sub('[-_.]+', '[-_.]+', name)}(?![\w-]|\.\w)", re.IGNORECASE)
    first = None
    for number, line in enumerate(text.split("\n"), 1):
        code = line.partition(" #")[0]
        if code.lstrip().startswith("#") or not written.search(code):
            continue
        if bare in code:
            return number
        first = first or number
    return first


def _texts(loaded: LoadedSpec) -> Iterator[tuple[Path, str]]:
    """The files that made the spec, the one that won first. Of a notebook's text, lines say nothing."""
    files = [loaded.file] if loaded.file is not None else []
    for file in dict.fromkeys([*files, *(item.file for item in loaded.used)]):
        if file.suffix != ".ipynb":
            yield file, _read(loaded, file)


def _read(loaded: LoadedSpec, file: Path) -> str:
    path = loaded.folder / file
    if not path.is_relative_to(loaded.folder):
        return ""
    try:
        return Folder(loaded.folder).read_text(str(path.relative_to(loaded.folder)))
    except SpecError:  # it was there a moment ago; the message that is told matters more
        return ""
