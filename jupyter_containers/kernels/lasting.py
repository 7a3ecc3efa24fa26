"""Kernels that go on when their server ends, and what the next one has to know of them.

``kernel.json`` in the container's folder, which its user alone can read: the connection with its key, the provisioner's
own words, the kernelspec, and the session (the notebook) that the kernel belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from ..errors import NotFoundError
from ..paths import Paths
from ..runtime.base import ContainerState, Runtime
from ..runtime.ownership import take

__all__ = [
    "LastingKernel", "NotebookSession", "find_lasting", "plain_connection", "read_lasting", "take_over",
    "write_lasting",
]  # fmt: skip

_FILE = "kernel.json"


class NotebookSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session of jupyter_server."""

    id: str
    path: str
    name: str | None = None
    type: str | None = None


class LastingKernel(msgspec.Struct, frozen=True, kw_only=True):
    kernel_id: str
    kernel_name: str
    connection: dict[str, Any]
    provisioner: dict[str, Any]
    """Of ``get_provisioner_info``."""
    cwd: str
    """What it was started with, for its restarts."""
    env: dict[str, str]
    root: str = ""
    """The server's root folder: its sessions' paths start there."""
    sessions: tuple[NotebookSession, ...] = ()


def plain_connection(info: dict[str, Any]) -> dict[str, Any]:
    """*info* as JSON can hold it."""
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in info.items()}


def write_lasting(paths: Paths, container_id: str, record: LastingKernel) -> None:
    """Keep *record*; nothing where the container has gone."""
    folder = paths.containers / container_id
    temporary = folder / f".{_FILE}-{os.urandom(4).hex()}"
    with suppress(FileNotFoundError):
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(record))
        temporary.replace(folder / _FILE)


def read_lasting(paths: Paths, container_id: str) -> LastingKernel | None:
    try:
        return msgspec.json.decode((paths.containers / container_id / _FILE).read_bytes(), type=LastingKernel)
    except (OSError, msgspec.MsgspecError):
        return None


def find_lasting(paths: Paths, runtime: Runtime) -> Iterator[tuple[ContainerState, LastingKernel]]:
    """Kernels that run and can be gone on with, whoever has them; oldest first."""
    for state in reversed(runtime.list()):
        with suppress(NotFoundError):
            if state.kind == "kernel" and runtime.find(state.id).config.outlive:
                record = read_lasting(paths, state.id)
                if record is not None:
                    yield state, record


def take_over(paths: Paths, container_id: str) -> bool:
    """Become the server of that kernel; False where it has one that lives, or has ended."""
    try:
        return take(paths.containers / container_id)
    except FileNotFoundError:
        return False
