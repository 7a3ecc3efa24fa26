"""Bases that are not bootstrapped: what is in an image, an environment or a root archive, found without running it.

What is looked for is the release (os-release(5)), the installed Debian packages (``/var/lib/dpkg/status``) and an
interpreter (``python3.N`` in the folders of PATH).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ArchiveError, ResolutionError
from . import version as versions
from .bootstrap import parse_python
from .model import Interpreter
from .packages import Candidate, read_status

__all__ = ["Contents", "digest_file", "inspect", "inspect_archive", "pick_interpreter"]

_FOLDERS = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "opt/conda/bin")
_MINORS = range(30, 7, -1)
_TEXTS = ("etc/os-release", "usr/lib/os-release", "var/lib/dpkg/status", "etc/alpine-release")
_LARGEST_TEXT = 64 << 20


@dataclass(frozen=True, slots=True)
class Contents:
    """What a base has, as far as it matters for a lock."""

    release: Mapping[str, str] = field(default_factory=dict)
    """os-release: ``ID``, ``VERSION_CODENAME`` …"""
    installed: Mapping[str, Candidate] = field(default_factory=dict)
    interpreters: tuple[str, ...] = ()
    """Absolute paths, ``/usr/local/bin/python3.12``, in the order of PATH, the newest of a folder first."""

    @property
    def name(self) -> str:
        return self.release.get("PRETTY_NAME") or self.release.get("ID") or "a system without os-release"

    @property
    def suite(self) -> str:
        """Debian's codename; empty for other systems."""
        return self.release.get("VERSION_CODENAME", "") if self.release.get("ID") == "debian" else ""

    @property
    def glibc(self) -> str:
        found = self.installed.get("libc6")
        return ".".join(versions.upstream(found.version).split(".")[:2]) if found else ""


def inspect(
    read_text: Callable[[str], str | None], exists: Callable[[str], bool], *, path_variable: str = ""
) -> Contents:
    """The contents of a tree that two functions look into. *path_variable*: PATH of the image's environment."""
    texts = {name: read_text(name) for name in _TEXTS}
    folders = [folder.strip("/") for folder in path_variable.split(":") if folder.startswith("/")] or list(_FOLDERS)
    # The bin folder of a virtual environment holds links to an interpreter, which is what ours is to be made from.
    folders = [folder for folder in folders if not exists(f"{folder.rpartition('/')[0]}/pyvenv.cfg")]
    found = [
        f"{folder}/python3.{minor}" for folder in folders for minor in _MINORS if exists(f"{folder}/python3.{minor}")
    ]
    return _contents(texts, found)


def inspect_archive(file: Path) -> Contents:
    """The contents of a root archive (tar, also compressed): its names are read, nothing is unpacked."""
    names: list[str] = []
    texts: dict[str, str | None] = {}
    pattern = re.compile(rf"(?:{'|'.join(_FOLDERS)})/python3\.[0-9]+")
    try:
        with tarfile.open(file, "r:*") as archive:
            for member in archive:
                name = member.name.removeprefix("./").strip("/")
                if name in _TEXTS and member.isreg() and member.size <= _LARGEST_TEXT:
                    stream = archive.extractfile(member)
                    texts[name] = stream.read().decode("utf-8", "replace") if stream else None
                elif pattern.fullmatch(name):
                    names.append(name)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArchiveError(
            f"{file} is no root archive: {error}", hint="give a tar file (plain, gzip, xz or bzip2)"
        ) from error
    order = {folder: number for number, folder in enumerate(_FOLDERS)}
    names.sort(key=lambda name: (order[name.rpartition("/")[0]], -int(name.rpartition(".")[2])))
    return _contents(texts, names)


def pick_interpreter(contents: Contents, wanted: str | None, *, source: str) -> Interpreter:
    """The first interpreter that the spec accepts. :class:`ResolutionError` tells what the base has."""
    if "ID" in contents.release and contents.release["ID"] == "alpine":
        raise ResolutionError(
            f"{source} is {contents.name}, whose C library (musl) is not supported for Python packages",
            hint="take a base with glibc: Debian, Ubuntu, Fedora …",
        )
    have = [path.rpartition("python")[2] for path in contents.interpreters]
    accepted = parse_python(wanted) if wanted is not None else None
    for path, short in zip(contents.interpreters, have, strict=True):
        full = _full_version(contents, path, short)
        if accepted is None or accepted.contains(full or f"{short}.99", prereleases=True):
            return Interpreter(version=short, path=path, full_version=full, glibc=contents.glibc)
    if not have:
        raise ResolutionError(
            f"{source} ({contents.name}) has no Python 3 on its PATH",
            hint='take an image with Python, add python3 to `packages.apt` of its own spec, or set `python = "none"`',
        )
    raise ResolutionError(
        f"python {wanted}: {source} has {', '.join(dict.fromkeys(have))}",
        hint="change `python`, or take another image as `base`",
    )


def digest_file(file: Path) -> str:
    """``sha256:…`` of a file's bytes."""
    try:
        with file.open("rb") as stream:
            return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    except OSError as error:
        raise ResolutionError(f"base: cannot read {file}: {error.strerror}", hint="correct `base`") from error


def _contents(texts: Mapping[str, str | None], interpreters: Iterable[str]) -> Contents:
    release = _parse_release(texts.get("etc/os-release") or texts.get("usr/lib/os-release") or "")
    if not release and texts.get("etc/alpine-release"):
        release = {"ID": "alpine"}
    installed: dict[str, Candidate] = {}
    with contextlib.suppress(ArchiveError):  # a status file that can't be read is one that nobody can install onto
        installed = read_status((texts.get("var/lib/dpkg/status") or "").encode())
    return Contents(release, installed, tuple(f"/{name}" for name in interpreters))


def _parse_release(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def _full_version(contents: Contents, path: str, short: str) -> str:
    """Known where the interpreter is Debian's own package."""
    found = contents.installed.get(f"python{short}") if path.startswith("/usr/bin/") else None
    return versions.upstream(found.version).split("+")[0].replace("~", "") if found else ""
