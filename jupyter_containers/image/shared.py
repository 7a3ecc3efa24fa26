"""Which stores lie below a user's own, to be read: those of ``JUPYTER_CONTAINERS_SHARED_STORES``, else of the
configuration file.

Each is a folder with a store in it that an administrator has made readable (the file ``store/shared`` says so). A
reader whose files they can't be has, where the administrator set it up, a mount of it in which they are:
``for/<uid>``, an idmapped one (mount_setattr(2)).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from ..errors import InputError

__all__ = ["MARKER", "VARIABLE", "configured_stores", "find_shared", "personal_mount"]

VARIABLE = "JUPYTER_CONTAINERS_SHARED_STORES"
MARKER = "shared"
"""The file in a store's folder that says that others may read it."""


def find_shared(own: Path, given: Sequence[Path] | None) -> tuple[Path, ...]:
    """The stores below the store *own*: of the folders *given*, or of those that are configured. One that is not
    there, or not readable (a disk that is not mounted), is passed over."""
    folders = configured_stores() if given is None else given
    found = []
    for folder in folders:
        store = personal_mount(folder, os.geteuid())
        if not (store / "version").is_file():
            store = folder / "store"
        try:
            if (store / MARKER).exists() and (store / "version").is_file() and not store.samefile(own):
                found.append(store)
        except OSError:
            if (store / MARKER).exists():
                found.append(store)  # *own* is not there yet
    return tuple(found)


def personal_mount(folder: Path, uid: int) -> Path:
    """Where the shared store in *folder* is seen as the user *uid*'s own."""
    return folder / "for" / str(uid)


def configured_stores() -> tuple[Path, ...]:
    """The folders that the variable names, apart by ``:``, else ``[store] shared`` of the configuration file."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return tuple(Path(part).expanduser() for part in given.split(":") if part)
    file = _config_file(os.environ)
    try:
        return _of_file(file, file.stat().st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ()  # who needs all of it complains


def _config_file(env: Mapping[str, str]) -> Path:
    base = env.get("XDG_CONFIG_HOME", "")
    folder = Path(base) if base.startswith("/") else Path(env.get("HOME") or "/nonexistent") / ".config"
    return folder / "jupyter-containers" / "config.toml"


@cache
def _of_file(file: Path, written: int) -> tuple[Path, ...]:
    """Read once as it was *written*: every command opens the store, some of them often."""
    text = file.read_text("utf-8", "replace")
    if "shared" not in text:
        return ()
    import tomllib  # late: few have such a line

    try:
        table = tomllib.loads(text).get("store", {})
    except tomllib.TOMLDecodeError:
        return ()
    stores = table.get("shared", []) if isinstance(table, dict) else []
    if not isinstance(stores, list) or not all(isinstance(each, str) for each in stores):
        raise InputError(f"{file}: [store] shared is no list of folders", hint='write shared = ["/srv/jc"]')
    return tuple(Path(each).expanduser() for each in stores)
