"""Why a container's program could not be executed, found in its image.

bwrap tells it on the standard error that it shares with the container. That is often the caller's own terminal or
pipe, from which nothing can be read back. What execvp(3) looked for can be looked for again.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import NotFoundError, UntrustedContentError
from ..image.inside import mode_in_root, open_in_root
from ..sandbox.model import Sandbox

__all__ = ["Refusal", "find_refusal"]

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
"""Exit statuses, as shells have them (POSIX, "Exit Status for Commands")."""
_LONGEST_LINE = 256
"""Bytes of a script's first line that the kernel looks at (BINPRM_BUF_SIZE)."""


class Refusal(NamedTuple):
    cause: str
    exit_code: int
    hint: str


def find_refusal(sandbox: Sandbox, layers: Sequence[Path]) -> Refusal | None:
    """What keeps the program of *sandbox* from being executed in the root made of *layers* (lowest first).

    None where nothing is seen that does, also for a program in a mounted folder: that is not looked into.
    """
    refused: str | None = None
    for path in _candidates(sandbox):
        if any(path.startswith(bind.target.rstrip("/") + "/") for bind in sandbox.binds):
            return None
        try:
            refused = refused or _look(layers, path)
        except NotFoundError:
            continue
        if not refused:
            return None
    if refused:
        return Refusal(refused, _NOT_EXECUTABLE, "give a program, or the interpreter and the script: `sh script.sh`")
    hint = "look at the command's path, or add the package that has it to the spec"
    return Refusal("the image has no such program", _NOT_FOUND, hint)


def _candidates(sandbox: Sandbox) -> Iterator[str]:
    name = sandbox.argv[0]
    folders = [""] if "/" in name else sandbox.env.get("PATH", "").split(":")
    return (str(Path(sandbox.cwd or "/", folder, name)) for folder in folders)


def _look(layers: Sequence[Path], path: str) -> str:
    """What is wrong with the program at *path*; empty where nothing is. :class:`NotFoundError` where there is none."""
    try:
        mode = mode_in_root(layers, path)
    except UntrustedContentError as error:
        return error.message
    except PermissionError:
        return "its folder may not be entered"
    if stat.S_ISDIR(mode):
        return "it is a folder"
    if not stat.S_ISREG(mode):
        return "it is no regular file"
    if not mode & stat.S_IXUSR:
        return "its file mode does not allow it"
    interpreter = _interpreter(layers, path)
    if interpreter:
        try:
            mode_in_root(layers, interpreter)
        except NotFoundError:
            return f"its interpreter {interpreter} is not in the image"
        except (UntrustedContentError, PermissionError):
            return f"its interpreter {interpreter} can't be executed"
    return ""


def _interpreter(layers: Sequence[Path], path: str) -> str:
    """The absolute path after a script's ``#!`` (execve(2)); empty where it is no script."""
    with suppress(NotFoundError, UntrustedContentError, PermissionError), open_in_root(layers, path) as handle:
        line = os.read(handle, _LONGEST_LINE).partition(b"\n")[0]
        match = re.match(rb"#![ \t]*(/[^ \t\r]+)", line)
        return os.fsdecode(match[1]) if match else ""
    return ""
