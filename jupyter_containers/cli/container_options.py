"""What containers are told on the command line, read."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..runtime.base import BindMount

__all__ = ["is_path", "parse_env", "parse_limit_size", "parse_mount", "parse_pair", "without_separator"]


def is_path(text: str) -> bool:
    """Whether *text* means a folder or file, and not an environment or image of that name."""
    return text in {".", ".."} or ("/" in text and Path(text).expanduser().exists())


def without_separator(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["--"] else words


def parse_mount(text: str) -> BindMount:
    """``SRC:DST``, ``SRC:DST:ro`` or ``:rw``; a relative source starts at the current folder. Default: writable."""
    from ..runtime.base import BindMount

    parts = text.split(":")
    mode = parts.pop() if len(parts) == 3 and parts[2] in ("ro", "rw") else "rw"
    if len(parts) != 2 or not all(parts):
        raise InputError(f"-v {text}: not of the form SRC:DST or SRC:DST:ro", hint='for example -v "$PWD:/work:ro"')
    source = Path(parts[0]).expanduser()
    # What the path means now: the runtime mounts that and follows no link any more.
    return BindMount(source=os.path.realpath(source), target=parts[1], mode="ro" if mode == "ro" else "rw")


def parse_env(text: str) -> tuple[str, str]:
    """``K=V``, or ``K`` for the value that this process has."""
    key, separator, value = text.partition("=")
    if not key or "\0" in text:
        raise InputError(f"-e {text}: not of the form NAME=VALUE or NAME")
    return key, value if separator else os.environ.get(key, "")


def parse_pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise InputError(f"--label {text}: not of the form KEY=VALUE")
    return key, value


def parse_limit_size(text: str) -> int:
    from ..spec.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
