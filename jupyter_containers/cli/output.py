"""Words, tables and JSON on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from ..errors import ContainersError, InputError

__all__ = ["age", "parse_age", "print_error", "print_json", "print_table", "printable"]


def printable(text: str) -> str:
    """*text* with control characters made visible: output of builds and containers must not drive the terminal."""
    return "".join(char if char == "\t" or char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def print_error(error: ContainersError) -> None:
    """``error: message`` and ``hint: next step`` on standard error, line by line."""
    lines = [printable(line) for line in error.message.splitlines()] or [type(error).__name__]
    print("error: " + "\n".join(lines), file=sys.stderr)
    if error.hint:
        print("hint: " + printable(error.hint), file=sys.stderr)


def print_json(value: object) -> None:
    """*value* (msgspec structs and what they hold included) as indented JSON."""
    import json

    import msgspec

    sys.stdout.write(json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2, ensure_ascii=False) + "\n")


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their widest cell, as docker and podman print them; works in a pipe."""
    lines = [tuple(head), *(tuple(map(printable, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def age(seconds: float) -> str:
    """A duration in one unit: ``5s``, ``12m``, ``3h``, ``4d``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def parse_age(text: str) -> float:
    """The inverse: seconds of ``90s``, ``24h``, ``30d`` or ``2w``; :class:`InputError`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise InputError(f"{text!r} is no age", hint="write a number and s, m, h, d or w: 36h, 30d")
    return float(int(number) * units[unit])
