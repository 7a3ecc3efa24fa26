"""Where files live.

One folder, the *home*, holds all that is kept; one short folder on a tmpfs, where there is one, holds sockets
and what must not outlive the machine's uptime::

    home/                    $JUPYTER_CONTAINERS_HOME, else <jupyter data dir>/containers    mode 0700
      environments/          a JSON record per named environment
      store/                 the image store (docs/store.md); one file system, one mount, so that hard links work
      containers/            a folder per container: config, state, log, writable layer
      builds/                a folder per build: log, events
    runtime/                 $JUPYTER_CONTAINERS_RUNTIME_DIR, else $XDG_RUNTIME_DIR/jc, else /tmp/jc-<uid>   0700

The runtime folder's path is kept short because a Unix socket's path holds 107 bytes (``sun_path``, unix(7)).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from .errors import HostError

__all__ = ["Paths"]


class Paths(NamedTuple):
    """The folders of one user. Use :meth:`current`; tests make their own."""

    home: Path
    runtime: Path

    @classmethod
    def current(cls) -> Paths:
        """The folders that the environment names, made where missing."""
        given = os.environ.get("JUPYTER_CONTAINERS_HOME")
        if given:
            home = Path(given).expanduser().absolute()
        else:
            from jupyter_core.paths import jupyter_data_dir  # late: it costs 20 ms

            home = Path(jupyter_data_dir()) / "containers"
        return cls(home, _runtime_dir()).made()

    def made(self) -> Paths:
        """Make the folders, private to the user, and return self.

        Raises :class:`HostError` where another user owns one of them: a folder in /tmp may have been put there.
        """
        for folder in (self.home, self.runtime):
            _make_private(folder)
        for folder in (self.environments, self.store, self.containers, self.builds):
            folder.mkdir(mode=0o700, exist_ok=True)
        return self

    @property
    def environments(self) -> Path:
        return self.home / "environments"

    @property
    def store(self) -> Path:
        return self.home / "store"

    @property
    def containers(self) -> Path:
        return self.home / "containers"

    @property
    def builds(self) -> Path:
        return self.home / "builds"


def _runtime_dir() -> Path:
    given = os.environ.get("JUPYTER_CONTAINERS_RUNTIME_DIR")
    if given:
        return Path(given).absolute()
    session = os.environ.get("XDG_RUNTIME_DIR")
    # `su` and `sudo -E` leave another user's XDG_RUNTIME_DIR behind, which can't be written.
    if session and os.access(session, os.W_OK) and Path(session).stat().st_uid == os.geteuid():
        return Path(session) / "jc"
    return Path(f"/tmp/jc-{os.geteuid()}")  # noqa: S108  owner and mode are checked by _make_private


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise HostError(
            f"cannot make {folder}: {error.strerror}",
            hint="set JUPYTER_CONTAINERS_HOME (or JUPYTER_CONTAINERS_RUNTIME_DIR) to a folder that you own",
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        link = "a symbolic link" if stat.S_ISLNK(status.st_mode) else ""
        raise HostError(
            f"{folder} is {link or f'the folder or file of user id {status.st_uid}, and we are {os.geteuid()}'}",
            hint="remove it, or set JUPYTER_CONTAINERS_HOME / JUPYTER_CONTAINERS_RUNTIME_DIR to a folder of your own",
        )
    # A home whose store others share (docs/store.md) stays open; what else is in it is private by itself.
    if stat.S_IMODE(status.st_mode) & 0o077 and not (folder / "store" / "shared").exists():
        folder.chmod(0o700)
