"""Who a container's processes are inside: a user of the image's, by name or number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..errors import ContainerError

__all__ = ["GID", "HOME", "UID", "USER", "Account", "find_account", "has_id"]

USER, UID, GID, HOME = "jovyan", 1000, 1000, "/home/jovyan"
"""As in the Jupyter docker stacks and repo2docker: notebooks and images expect it."""

_LARGEST = (1 << 31) - 1
"""Of an id, as in other engines."""


class Account(NamedTuple):
    uid: int
    gid: int
    name: str
    home: str
    known: bool = True
    """The image's passwd has it."""


def find_account(text: str, passwd: str, group: str) -> Account:
    """The account that *text* means: ``user``, ``uid``, ``user:group``, ``uid:gid`` and so on (OCI image-spec,
    config.md, "User"); empty is root, as in every engine. *passwd* and *group* are the image's files (passwd(5),
    group(5)).

    A number that the image does not know gets a home below ``/home``, and :data:`USER` need not be known.
    :class:`ContainerError` for a name that the image does not have.
    """
    user, _, of_group = text.strip().partition(":")
    account = _user(user or "0", passwd)
    if not of_group:
        return account
    gid = _number(of_group)
    if gid is None:
        gid = next((int(row[2]) for row in _rows(group, 3) if row[0] == of_group and row[2].isdecimal()), None)
    if gid is None and of_group == USER:
        gid = GID
    if gid is None:
        raise ContainerError(
            f"the image has no group {of_group!r} in its /etc/group", hint="give its number: -u USER:GID"
        )
    return account._replace(gid=gid)


def has_id(database: str, number: int) -> bool:
    """Whether passwd(5) or group(5) text has an entry with that id: the third field of both."""
    return any(row[2] == str(number) for row in _rows(database, 3))


def _user(text: str, passwd: str) -> Account:
    number = _number(text)
    for row in _rows(passwd, 6):
        # The name first, as useradd allows no name that is a number, and then the number.
        if (row[0] == text if number is None else row[2] == str(number)) and row[2].isdecimal() and row[3].isdecimal():
            home = row[5] if row[5].startswith("/") else "/"
            return Account(int(row[2]), int(row[3]), row[0], home)
    if text == USER:
        return _user(str(UID), passwd)  # an image's own user of that number is as good
    if number == UID:
        return Account(UID, GID, USER, HOME, known=False)
    if text == "root" or number == 0:
        return Account(0, 0, "root", "/root", known=False)
    if number is None:
        raise ContainerError(
            f"the image has no user {text!r} in its /etc/passwd",
            hint=f"-u takes a number as well, and {USER}, which every image has",
        )
    name = f"user{number}"
    return Account(number, 0, name, f"/home/{name}", known=False)


def _number(text: str) -> int | None:
    if not text.isdecimal():
        return None
    if int(text) > _LARGEST:
        raise ContainerError(f"{text} is no user or group id", hint=f"ids go to {_LARGEST}")
    return int(text)


def _rows(database: str, fields: int) -> Iterator[list[str]]:
    return (row for line in database.splitlines() if len(row := line.split(":")) >= fields)
