"""What containers are told on the command line, read."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..runtime.base import BindMount

__all__ = [
    "above_zero",
    "from_zero",
    "is_path",
    "parse_env",
    "parse_environment",
    "parse_limit_size",
    "parse_mount",
    "parse_pair",
    "without_separator",
]

_Number = TypeVar("_Number", int, float)


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


def parse_env(text: str) -> tuple[str, str] | None:
    """``K=V``, or ``K`` for the value that this process has; None where it has none, as docker does."""
    key, separator, value = text.partition("=")
    if not key or "\0" in text:
        raise InputError(f"-e {text}: not of the form NAME=VALUE or NAME")
    if separator:
        return key, value
    return (key, os.environ[key]) if key in os.environ else None


def parse_environment(texts: Iterable[str]) -> dict[str, str]:
    """All ``-e`` of a command line; the last one of a name counts."""
    return dict(pair for text in texts if (pair := parse_env(text)) is not None)


def parse_pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise InputError(f"--label {text}: not of the form KEY=VALUE")
    return key, value


def above_zero(kind: type[_Number]) -> Callable[[str], _Number]:
    """Reads a number that makes sense above 0 only, for argparse."""
    return _reader(kind, lambda number: 0 < number < float("inf"), "a number above 0")


def from_zero(kind: type[_Number]) -> Callable[[str], _Number]:
    """Reads a number that makes sense from 0 on."""
    return _reader(kind, lambda number: 0 <= number < float("inf"), "0 or a number above it")


def _reader(kind: type[_Number], fits: Callable[[_Number], bool], what: str) -> Callable[[str], _Number]:
    def read(text: str) -> _Number:
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not fits(number):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return number

    return read


def parse_limit_time(text: str) -> int:
    from ..spec.durations import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} leaves no time to work")
    return seconds


def parse_limit_size(text: str) -> int:
    from ..spec.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
