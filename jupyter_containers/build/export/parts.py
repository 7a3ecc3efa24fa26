"""What an export is made of: a Dockerfile, and the files that it takes in."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping

import msgspec

from ...errors import InputError

__all__ = ["Export", "File", "env_line", "exec_form", "heredoc"]

DELIMITER = "JUPYTER_CONTAINERS"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file beside the Dockerfile, written for it."""

    path: str
    """Relative to the build context."""
    content: str


class Export(msgspec.Struct, frozen=True, kw_only=True):
    dockerfile: str
    """Its text, which takes *files* in with COPY."""
    files: tuple[File, ...] = ()
    copies: Mapping[str, str] = {}
    """Files and folders of the spec's folder that it takes in: by their path in the build context."""
    context: str = ""
    """A folder of the spec's folder that is the build context; empty: the context is made of *files* and *copies*."""
    args: Mapping[str, str] = {}
    """Values that the build has to be given."""
    notes: tuple[str, ...] = ()
    """What is not the same as in the environment, and what to look at."""

    @property
    def alone(self) -> str:
        """The Dockerfile with *files* in it, as heredocs: for a builder that knows them, with the spec's folder as the
        build context."""
        text = self.dockerfile
        for file in self.files:
            pattern = rf"(?m)^COPY (--\S+ )?{re.escape(file.path)} (\S+)$"

            def put(match: re.Match[str], file: File = file) -> str:
                target = match[2]
                if target.endswith("/"):
                    target = posixpath.join(target, posixpath.basename(file.path))
                return heredoc(match[1] or "", target, file.content)

            text = re.sub(pattern, put, text)
        if self.context not in {"", "."} and self.copies:
            raise InputError(
                "it takes in files of two build contexts, and can't be one Dockerfile", hint="write it with `-o FOLDER`"
            )
        for inside, source in self.copies.items():
            text = text.replace(f" {inside} /", f" {source} /")
        return text


def heredoc(flags: str, target: str, content: str) -> str:
    """A COPY of *content*, which ends in a line end."""
    if re.search(rf"(?m)^{DELIMITER}$", content):
        raise InputError(f"a file of the export has a line {DELIMITER}", hint="write the export to a folder")
    return f"COPY {flags}<<'{DELIMITER}' {target}\n{content}{DELIMITER}"


def env_line(pairs: Mapping[str, str], *, keyword: str = "ENV") -> str:
    """``ENV A="1" \\ B="2"``: values as they are, without variables in them."""
    for name, value in pairs.items():
        if "\n" in value or "\r" in value:
            raise InputError(f"{name}: a value of several lines can't be written into a Dockerfile", hint="shorten it")
    quoted = [f"{_name(name)}={_quoted(value)}" for name, value in pairs.items()]
    return f"{keyword} " + " \\\n    ".join(quoted)


def exec_form(keyword: str, argv: Iterable[str]) -> str:
    """``RUN ["/bin/sh", "-c", "…"]``: a command whose quotes nobody reads."""
    return f"{keyword} {json.dumps(list(argv), ensure_ascii=False)}"


def _quoted(value: str) -> str:
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def _name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_.\-/]+", name) else _quoted(name)
