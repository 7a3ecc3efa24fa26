"""Users and groups as the image knows them: passwd(5) and group(5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import BuildError, NotFoundError, UntrustedContentError
from ...image.inside import read_text_in_root

__all__ = ["Account", "find_account", "find_owner"]


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    home: str


def find_account(layers: Sequence[Path], user: str) -> Account | None:
    """The account that USER's *user* (``name``, ``uid``, ``name:group``) means, None where the image has none."""
    name = user.partition(":")[0]
    for row in _rows(layers, "etc/passwd"):
        if len(row) >= 6 and name in {row[0], row[2]} and row[2].isdigit():
            return Account(row[0], int(row[2]), row[5] or "/")
    return None


def find_owner(layers: Sequence[Path], text: str) -> tuple[int, int]:
    """The ids that ``--chown`` names. :class:`BuildError` for a name that the image does not know."""
    user, _, group = text.partition(":")
    uid = int(user) if user.isdigit() else _find(layers, "etc/passwd", user, text)
    if not group:
        return uid, uid
    return uid, int(group) if group.isdigit() else _find(layers, "etc/group", group, text)


def _find(layers: Sequence[Path], file: str, name: str, text: str) -> int:
    for row in _rows(layers, file):
        if len(row) >= 3 and row[0] == name and row[2].isdigit():
            return int(row[2])
    raise BuildError(f"--chown={text}: the image's /{file} has no {name!r}", hint="add the account in an earlier RUN")


def _rows(layers: Sequence[Path], file: str) -> list[list[str]]:
    try:
        return [line.split(":") for line in read_text_in_root(layers, file).splitlines()]
    except (NotFoundError, UntrustedContentError):
        return []
