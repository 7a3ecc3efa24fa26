"""requirements.txt as pip reads it (pip documentation, "Requirements File Format").

Not of the format, but of this program: what reaches out of the folder, or would make the result depend on the
host, is refused with a reason. Paths are relative to the spec's folder, as for a pip run there; ``-r`` and ``-c``
are relative to the file that has them.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import SpecError
from .assembly import Assembly
from .walk import Key, Place

__all__ = ["add_requirement", "logical_lines", "name_url", "read_requirements"]

_COMMENT = r"(^|\s+)#.*$"
_INLINE_OPTION = r"\s(?=--?[A-Za-z])"
_VARIABLE = r"\$\{[A-Z0-9_]+\}"
_OPTION = re.compile(r"(?P<name>--[a-z-]+|-[a-z])(?:=|\s*)(?P<value>.*)", re.DOTALL)
_ARCHIVE = r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*(?:-[A-Za-z][A-Za-z0-9._]*)*)-\d[^/]*\.(?:whl|tar\.gz|zip)"
_MOST_FILES = 100

_LONG = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-i": "--index-url", "-f": "--find-links"}
_REFUSED = {
    "--find-links": "Write a repository as `--extra-index-url URL`, or a file as `NAME @ URL`",
    "--no-index": "Remove it",
    "--no-binary": "Remove it, or build the package in `build.run` of a jupyter-container.toml",
    "--only-binary": "Remove it: wheels are preferred",
    "--prefer-binary": "Remove it: uv takes the newest version that fits",
    "--pre": "Name the pre-release that you want: `NAME>=2.0rc1`",
    "--trusted-host": "Remove it: packages come over verified TLS only",
    "--global-option": "Remove it",
    "--config-settings": "Remove it, or build the package in `build.run` of a jupyter-container.toml",
}
"""Options of pip's format that are not accepted, and what to do."""


class _Including(NamedTuple):
    key: Key
    """The list that lines go to: packages, or constraints."""
    files: tuple[str, ...]
    """From the first file to the one that is read: finds circles."""


def read_requirements(assembly: Assembly, name: str, *, part: str = "Python packages") -> None:
    """Add what the file *name* of the folder, and the files that it includes, ask for."""
    _read(assembly, name, _Including(("packages", "pip"), ()), part)


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Line number and content, without comments and blank lines, continued lines joined; as pip does it."""
    start, pending = 0, ""
    for number, line in enumerate(text.split("\n"), start=1):
        comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not comment:
            start = start or number
            pending += line.rstrip("\\")
            continue
        # The blank makes a comment line within a continued line one that is cut off below.
        joined = pending + (" " + line if comment else line)
        yield from _content(start or number, joined)
        start, pending = 0, ""
    if pending:
        yield from _content(start, pending)


def _content(number: int, line: str) -> Iterator[tuple[int, str]]:
    bare = re.sub(_COMMENT, "", line).strip()
    if bare:
        yield number, bare


def add_requirement(assembly: Assembly, line: str, place: Place, *, file: str, key: Key = ("packages", "pip")) -> None:
    """Add one logical *line* that stands in *file*, an option or a requirement."""
    _add(assembly, line, place, _Including(key, (file,)))


def name_url(text: str) -> str:
    """A bare URL as PEP 508 has it, where the URL tells the package's name; other text as it is.

    ``git+https://host/x.git@v1#egg=x`` gives ``x @ git+https://host/x.git@v1``.
    """
    if not re.match(r"(?:[a-z]+\+)?https?://|git\+ssh://", text):
        return text
    url, separator, marker = text.partition(" ;")
    address, _, fragment = url.strip().partition("#")
    parts = dict(part.partition("=")[::2] for part in fragment.split("&") if part)
    egg = parts.pop("egg", "")
    archive = re.fullmatch(_ARCHIVE, address.rpartition("/")[2])
    name = egg or (archive["name"] if archive else "")
    if not name:
        return text
    kept = "&".join(f"{part}={value}" for part, value in parts.items())
    return f"{name} @ {address}{'#' + kept if kept else ''}{separator}{marker}"


def _read(assembly: Assembly, name: str, including: _Including, part: str) -> None:
    including = including._replace(files=(*including.files, name))
    try:
        text = assembly.folder.read_text(name)
    except SpecError as error:
        assembly.problems += error.problems
        return
    assembly.use(name, part)
    lines = list(logical_lines(text))
    shown = assembly.folder.shown(name)
    for number, line in lines:
        _add(assembly, line, Place(shown, number), including)
    if any(line.split() == ["--require-hashes"] for _, line in lines):
        _require_hashes(assembly, lines, shown)


def _require_hashes(assembly: Assembly, lines: list[tuple[int, str]], shown: str) -> None:
    for number, line in lines:
        if not line.startswith("-") and "--hash" not in line:
            assembly.report(Place(shown, number), f"{line!r} has no hash, and the file has --require-hashes", "Add it")


def _add(assembly: Assembly, line: str, place: Place, including: _Including) -> None:
    variable = re.search(_VARIABLE, line)
    if variable:
        cause = f"{variable[0]} would be taken from the host's environment, and the result would depend on it"
        assembly.report(place, cause, "Write the value; a password belongs into ~/.netrc")
    elif line.startswith("-"):
        _add_option(assembly, line, place, including)
    else:
        _add_package(assembly, line, place, including)


def _add_package(assembly: Assembly, line: str, place: Place, including: _Including) -> None:
    bare, *options = re.split(_INLINE_OPTION, line)
    kept = []
    for option in options:
        found = _OPTION.match(option)
        if found is not None and found["name"] == "--hash":
            kept.append(f" --hash={found['value'].strip()}")
        else:
            _refuse(assembly, option, place)
    assembly.add(including.key, _as_path(assembly, name_url(" ".join(bare.split()))) + "".join(kept), place)


def _as_path(assembly: Assembly, text: str) -> str:
    """pip takes ``wheels/x.whl`` for a path where there is one; a spec wants ``./`` before it."""
    if text.startswith((".", "/", "~")) or "@" in text or "://" in text:
        return text
    bare = text.partition(";")[0].partition("[")[0].strip()
    is_path = bare.endswith((".whl", ".tar.gz", ".zip")) or ("/" in bare and assembly.folder.has(bare))
    return f"./{text}" if is_path else text


def _add_option(assembly: Assembly, line: str, place: Place, including: _Including) -> None:
    found = _OPTION.match(line)
    if found is None:
        assembly.report(place, f"{line!r} is not an option of a requirements file")
        return
    option = _LONG.get(found["name"], found["name"])
    try:
        words = shlex.split(found["value"])
    except ValueError as error:
        assembly.report(place, f"{line!r} can't be read: {error}")
        return
    value = " ".join(words)
    if option == "--require-hashes" and not value:
        return
    if option in _REFUSED or option not in _VALUED:
        _refuse(assembly, line, place)
    elif not value:
        assembly.report(place, f"{option} has no value")
    elif option == "--editable":
        path = value if re.match(r"[./~]|(?:[a-z]+\+)?[a-z]+:", value) else f"./{value}"
        assembly.add(including.key, name_url(path), place)
        assembly.use(
            including.files[-1], f"line {place.line}: -e is read as an ordinary package, installed and not linked"
        )
    elif option == "--extra-index-url":
        assembly.add(("packages", "extra-index-urls"), value, place)
    elif option == "--index-url":
        _set_index(assembly, value, place)
    else:
        _include(assembly, option, value, place, including)


_VALUED = frozenset({"--editable", "--extra-index-url", "--index-url", "--requirement", "--constraint"})


def _set_index(assembly: Assembly, url: str, place: Place) -> None:
    key = ("packages", "index-url")
    packages = assembly.document.get("packages")
    present = packages.get("index-url") if isinstance(packages, dict) else None
    if present not in {None, url} if isinstance(present, str | None) else True:
        assembly.report(place, f"the index is {present} already", "Keep one, and write others as --extra-index-url")
        return
    assembly.set(key, url, place)


def _include(assembly: Assembly, option: str, target: str, place: Place, including: _Including) -> None:
    if "://" in target:
        assembly.report(place, f"{option} of a URL is not read", "Put a copy of the file into the folder")
        return
    name = posixpath.normpath(posixpath.join(posixpath.dirname(including.files[-1]), target))
    if target.startswith("/") or name == ".." or name.startswith("../"):
        assembly.report(place, f"{target!r} is outside of the spec's folder", "Put a copy of the file into the folder")
    elif name in including.files:
        assembly.report(place, f"{target!r} includes itself", "Remove the line")
    elif not assembly.folder.has(name):
        assembly.report(place, f"{target!r} does not exist", "Correct the name; it is relative to this file's folder")
    elif len(assembly.used) >= _MOST_FILES:
        assembly.report(place, f"more than {_MOST_FILES} files are included")
    else:
        constraint = option == "--constraint"
        key: Key = ("packages", "constraints") if constraint else including.key
        part = f"{'constraints' if constraint else 'Python packages'}, from {including.files[-1]}"
        _read(assembly, name, including._replace(key=key), part)


def _refuse(assembly: Assembly, option: str, place: Place) -> None:
    found = _OPTION.match(option)
    name = _LONG.get(found["name"], found["name"]) if found else option
    assembly.report(place, f"the option {name} is not accepted", _REFUSED.get(name, "Remove it"))
