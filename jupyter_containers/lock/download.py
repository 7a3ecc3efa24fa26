"""One file from one address, with no hash to hold it to: the caller's to distrust."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ..errors import ArchiveError, InputError, OutOfSpaceError
from .settings import Settings
from .transport import Transport, shown

__all__ = ["download"]

_CHUNK = 256 * 1024


def download(
    url: str, target: Path, settings: Settings, *, max_bytes: int, progress: Callable[[str, int, int], None]
) -> None:
    """Write what *url* answers with to the new file *target*, *max_bytes* at most; tried again where it breaks off.

    Raises :class:`InputError` for what is no web address, :class:`~jupyter_containers.errors.UnreachableError`, and
    :class:`ArchiveError` for a server's no and for more bytes than that. *target* is the caller's to remove.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(f"{url!r} is no web address", hint="begin it with https://")
    if settings.offline:
        raise ArchiveError(f"offline: {shown(url)} is not asked for", hint="unset JUPYTER_CONTAINERS_OFFLINE")
    transport = Transport(settings)

    def transfer(address: str) -> None:
        with transport.stream(address, {}) as response, target.open("wb") as file:
            total = int(response.headers.get("content-length") or 0)
            done = 0
            for chunk in response.iter_raw(_CHUNK):
                done += len(chunk)
                if done > max_bytes:
                    raise ArchiveError(f"{shown(url)} is larger than {max_bytes} bytes, the bound for an archive")
                try:
                    file.write(chunk)
                except OSError as error:
                    raise OutOfSpaceError(
                        f"cannot write what {shown(url)} sends: {error.strerror}", hint="free disk space"
                    ) from error
                progress(f"downloading {shown(url)}", done, max(total, done) if total else 0)

    try:
        if not transport.try_mirrors([url], transfer, threading.Event()):
            raise ArchiveError(f"the server has no {shown(url)}", hint="look at the address")
    finally:
        transport.close()
