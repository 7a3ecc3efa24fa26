"""Reading files of a spec's folder, which may come from a stranger.

A file is read only where it is a regular file, within a size, and inside of the folder: a symbolic link that
leads out is refused, because `requirements.txt -> ~/.ssh/id_ed25519` would show a secret in an error message.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import Problem, SpecError
from .sizes import format_size
from .toml import read_toml

__all__ = ["LOCK_LIMIT", "NOTEBOOK_LIMIT", "TEXT_LIMIT", "Folder", "parse_toml"]

TEXT_LIMIT = 1 << 20
"""Bytes of a TOML, YAML or requirements file."""
LOCK_LIMIT = 64 << 20
"""Bytes of a foreign lock: uv.lock of a large project has megabytes."""
NOTEBOOK_LIMIT = 100 << 20
"""Bytes of a notebook: plots in its outputs can be many."""


class Folder:
    """A spec's folder. Names are relative to it; errors show them as the user wrote the folder.

    :param given: the folder as errors show it; None: *path*.
    :param texts: by name, files as they would be: what is in them is read in place of what the folder has.
    """

    def __init__(self, path: Path, *, given: Path | None = None, texts: Mapping[str, str] | None = None) -> None:
        """:class:`SpecError` where *path* is not a folder."""
        self.given = path if given is None else given
        self._texts = {name: text.encode("utf-8", "surrogatepass") for name, text in (texts or {}).items()}
        # Not resolved: the user knows the folder by this name; `..` is taken away for the environment's name.
        self.path = Path(os.path.abspath(path))  # noqa: PTH100
        try:
            self._real = os.path.realpath(path)
            is_folder = path.is_dir()
            cause = "is not a folder" if path.exists() else "does not exist"
        except (OSError, ValueError) as error:  # a name that is too long, a NUL in it
            is_folder, cause = False, f"is not the name of a folder: {getattr(error, 'strerror', error)}"
        if not is_folder:
            raise SpecError("no spec", problems=[Problem(file=str(path), cause=cause)])

    def shown(self, name: str) -> str:
        """How errors name the file *name*."""
        return str(self.given / name)

    def file(self, name: str) -> Path:
        return self.path / name

    def has(self, name: str) -> bool:
        """Whether there is such an entry, of any kind: a dangling link is an error to tell, not an absent file."""
        return name in self._texts or os.path.lexists(self.path / name)

    def names(self, below: str = ".") -> list[str]:
        """The entries of the folder, or of the one *below* it, sorted."""
        try:
            found = os.listdir(self.path / below)
        except OSError:
            found = []
        return sorted({*found, *(self._texts if below == "." else ())})

    def read(self, name: str, *, limit: int = TEXT_LIMIT) -> bytes:
        """The bytes of *name*, at most *limit* of them; :class:`SpecError` tells why not."""
        try:
            return self._read(self.path / name, limit)
        except _RefusedError as refused:
            problem = Problem(file=self.shown(name), cause=refused.cause, remedy=refused.remedy)
        except FileNotFoundError:
            problem = Problem(file=self.shown(name), cause="does not exist")
        except OSError as error:
            problem = Problem(file=self.shown(name), cause=f"can't be read: {error.strerror}")
        except ValueError:  # a NUL in the name
            problem = Problem(file=self.shown(name), cause="is not a file name")
        raise SpecError("a file can't be read", problems=[problem])

    def read_text(self, name: str, *, limit: int = TEXT_LIMIT) -> str:
        """The UTF-8 text of *name*, with ``\\n`` line ends and no byte order mark."""
        try:
            text = self.read(name, limit=limit).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            problem = Problem(file=self.shown(name), line=line, cause="is not UTF-8 text", remedy="Save it as UTF-8")
            raise SpecError("a file can't be read", problems=[problem]) from None
        return text.replace("\r\n", "\n")

    def read_toml(self, name: str, *, limit: int = TEXT_LIMIT) -> tuple[dict[str, Any], str]:
        """The document of the TOML file *name*, and its text."""
        text = self.read_text(name, limit=limit)
        return parse_toml(text, self.shown(name)), text

    def _read(self, path: Path, limit: int) -> bytes:
        if path.parent == self.path and path.name in self._texts:
            data = self._texts[path.name]
            if len(data) > limit:
                raise _RefusedError(f"is larger than {format_size(limit)}")
            return data
        # Before the open: opening a device can have effects.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _RefusedError("is not a regular file", "Put a file there")
        # O_NONBLOCK: a named pipe put there meanwhile would stop us for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _RefusedError("is not a regular file", "Put a file there")
            # Asked of the open file, so that a link changed meanwhile gains nothing (proc_pid_fd(5)).
            real = str(Path(f"/proc/self/fd/{handle}").readlink())
            if not real.startswith(self._real.rstrip("/") + "/"):
                raise _RefusedError(f"leads out of the folder, to {real}", "Put a copy of the file into the folder")
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise _RefusedError(f"is larger than {format_size(limit)}")
        return data


class _RefusedError(Exception):
    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


_TOML = "See https://toml.io"
_TOML_REMEDIES = (
    ("illegal character '\\n'", "Close the text with its quote"),
    ("unterminated string", "Close the text with its quotes"),
    ("invalid value", "Put text into quotes; true and false are lower-case"),
    ("expected newline", "Put text into quotes, and each key on a line of its own"),
    ("expected '='", "Write `key = value`"),
    ("expected ']", "Close the table's name on its line"),
    ("unclosed array", "Close it with `]`, with commas between its items"),
    ("cannot overwrite", "Write each key once"),
    ("cannot declare", "Write each table once"),
    ("unescaped '\\'", "Write two for one, or put the text into single quotes"),
)
"""What tomllib says, and what that mostly comes of."""


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """The document of the TOML *text*; :class:`SpecError` with the line names *file*."""
    try:
        return read_toml(text)
    except tomllib.TOMLDecodeError as error:
        cause, line = _split_place(str(error), text)
        remedy = " ".join([*(f"{text}." for start, text in _TOML_REMEDIES if cause.startswith(start)), _TOML])
        problem = Problem(file=file, line=line, cause=f"not valid TOML: {cause}", remedy=remedy)
    raise SpecError("the spec is not valid", problems=[problem])


def _split_place(message: str, text: str) -> tuple[str, int | None]:
    """tomllib tells the place only in words: ``… (at line 3, column 5)`` or ``(at end of document)``."""
    cause, _, place = message.rpartition(" (at ")
    if not cause:
        return message, None
    cause = cause[:1].lower() + cause[1:]
    words = place.rstrip(")").replace(",", "").split()
    if words[0] == "line":
        return cause, int(words[1])
    return cause, text.rstrip("\n").count("\n") + 1
