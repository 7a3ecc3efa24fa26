"""A kernel's connection folder: its connection file and its five sockets, and nothing of any other kernel.

The folder is bound into the container at the same path, so that one connection file is true on both sides, and the path
is short because a Unix socket's holds 107 bytes (``sun_path``, unix(7))::

    <runtime>/k/<9 hex>-<8 hex>/  0700  (:mod:`..runtime.strays`)
        connection.json         0600   what the kernel reads; the client's own copy is written by its KernelManager
        container.py                   what its IPython runs at its start
        s-1 … s-5                      shell, iopub, stdin, control, hb: made by the kernel when it binds

The kernel can write all of it: nothing here is ever read back by the host.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import HostError
from ..paths import Paths
from ..runtime.strays import name_folder

__all__ = ["CHANNELS", "ConnectionFolder"]

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
"""The channel of "port" 1, 2 …: with ``transport: ipc`` a port is the number in the socket's name
(https://jupyter-client.readthedocs.io/en/stable/kernels.html#connection-files)."""

LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class ConnectionFolder:
    path: Path

    @classmethod
    def choose(cls, paths: Paths) -> ConnectionFolder:
        """A path that is not taken. :class:`HostError` where the runtime folder's is too long for sockets in it."""
        folder = cls(paths.runtime / "k" / name_folder())
        longest = max(len(os.fsencode(path)) for path in folder.sockets)
        if longest > LONGEST_SOCKET_PATH:
            raise HostError(
                f"{paths.runtime} is too long for a socket's path ({longest} of at most {LONGEST_SOCKET_PATH} bytes)",
                hint="set JUPYTER_CONTAINERS_RUNTIME_DIR to a shorter path",
            )
        return folder

    def make(self) -> None:
        """Make the folder; one that a kernel before (restart) has used is emptied of its sockets."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)
        for path in self.sockets:
            Path(path).unlink(missing_ok=True)

    @property
    def file(self) -> Path:
        return self.path / "connection.json"

    @property
    def address(self) -> str:
        """The connection file's ``ip``: what comes before ``-<port>`` in a socket's path."""
        return str(self.path / "s")

    @property
    def ports(self) -> dict[str, int]:
        return {f"{channel}_port": number for number, channel in enumerate(CHANNELS, 1)}

    @property
    def sockets(self) -> tuple[str, ...]:
        return tuple(f"{self.address}-{number}" for number in range(1, len(CHANNELS) + 1))

    def socket(self, channel: str) -> str:
        return f"{self.address}-{CHANNELS.index(channel) + 1}"

    def info(self, key: bytes, scheme: str) -> dict[str, object]:
        """What a connection file says of these sockets; messages are signed with *key* by *scheme*."""
        return {"transport": "ipc", "ip": self.address, **self.ports, "key": key, "signature_scheme": scheme}

    def write(self, info: Mapping[str, object]) -> None:
        """Write the connection file that the kernel reads; *info*'s ``key`` may be bytes."""
        content = {key: value.decode() if isinstance(value, bytes) else value for key, value in info.items()}
        self._write_new(self.file, json.dumps(content))

    @staticmethod
    def _write_new(file: Path, text: str) -> None:
        # A kernel that ran before (restart) owns this folder: neither its file nor a link in its place is opened.
        file.unlink(missing_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)

    @property
    def magic(self) -> Path:
        """What IPython runs at its start (:mod:`.inside`)."""
        return self.path / "container.py"

    def write_magic(self, environment: str) -> None:
        """Write it, for a kernel of *environment*."""
        text = Path(__file__).with_name("inside.py").read_text("utf-8")
        self._write_new(self.magic, text.replace("@ENVIRONMENT@", environment))

    def bound(self) -> bool:
        """Whether the kernel has bound all of its sockets."""
        address = self.address  # once: a start asks a hundred times
        return all(os.path.lexists(f"{address}-{number}") for number in range(1, len(CHANNELS) + 1))

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
