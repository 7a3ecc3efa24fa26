"""What :mod:`.launch` is told to do, and how it is started. Apart from it, since only the child needs ctypes."""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Sequence
from typing import TypedDict

from .idmap import Clone

__all__ = ["MountOrders", "Orders", "command", "pack", "pack_mounts", "service"]

_CODE = "import sys; sys.path.append(sys.argv[1]); from jupyter_containers.sandbox.{} import {}; {}"


class Orders(TypedDict):
    """What is to be done, in this order."""

    fds: list[int]
    """The numbers that the descriptors sent with these orders get. This and the next for :mod:`.service` only."""
    open_files: tuple[int, int]
    """The owner's RLIMIT_NOFILE, soft and hard."""
    network: bool
    """Whether it gets a network namespace of its own, with only a loopback in it."""
    groups: list[str]
    rlimits: list[tuple[int, int]]
    identity: int | None
    stage: str
    clones: list[tuple[str, str, tuple[int, int] | None, bool, bool, bool]]
    parent: int
    argv: list[str]
    status: int


class MountOrders(TypedDict):
    """What detached mounts are to be made (:mod:`.fork.mounter`), and first the stage that they are made from."""

    sources: list[tuple[object, ...]]
    identity: int | None
    stage: str
    clones: list[tuple[str, str, tuple[int, int] | None, bool, bool, bool]]


def pack(
    argv: Sequence[str],
    *,
    status: int,
    fds: Sequence[int] = (),
    open_files: tuple[int, int] = (0, 0),
    network: bool = False,
    groups: Sequence[str] = (),
    rlimits: Sequence[tuple[int, int]] = (),
    identity: int | None = None,
    stage: str = "/run",
    clones: Sequence[Clone] = (),
    parent: int = 0,
) -> bytes:
    """Orders as bytes. *parent*: the pid whose end must be this process's end; 0: none."""
    orders: Orders = {
        "fds": list(fds),
        "open_files": open_files,
        "network": network,
        "argv": list(argv),
        "status": status,
        "groups": list(groups),
        "rlimits": list(rlimits),
        "identity": identity,
        "stage": stage,
        "clones": _plain(clones),
        "parent": parent,
    }
    return marshal.dumps(orders)  # type: ignore[arg-type]  # a TypedDict is a dict


def pack_mounts(
    sources: Sequence[tuple[object, ...]], *, identity: int | None, stage: str, clones: Sequence[Clone]
) -> bytes:
    """Orders for the mounts of a fork, as bytes."""
    orders: MountOrders = {
        "sources": list(sources), "identity": identity, "stage": stage, "clones": _plain(clones),
    }  # fmt: skip
    return marshal.dumps(orders)  # type: ignore[arg-type]


def _plain(clones: Sequence[Clone]) -> list[tuple[str, str, tuple[int, int] | None, bool, bool, bool]]:
    return [(c.source, c.target, c.shift, c.recursive, c.folder, c.resolved) for c in clones]


def command(orders: int) -> list[str]:
    """The argument vector that carries out the orders that descriptor *orders* holds, once."""
    return _python("launch", "main", "main(int(sys.argv[2]))", orders)


def service(connection: int, owner: int, stage: str) -> list[str]:
    """The argument vector of :func:`.service.serve`."""
    call = "serve(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])"
    return _python("service", "serve", call, connection, owner, stage)


def _python(module: str, function: str, call: str, *arguments: object) -> list[str]:
    packages = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100,PTH120
    return [sys.executable, "-I", "-S", "-c", _CODE.format(module, function, call), packages, *map(str, arguments)]
