"""Whether prepared packages (:mod:`.wheels`) are what they were: each file against the hash that its RECORD has."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import stat
from pathlib import Path

from ..image.caches import list_entries
from ..image.check import Damage, take_out_package
from ..image.progress import Progress, quiet
from ..image.store import Store

__all__ = ["verify_packages"]


def verify_packages(store: Store, *, repair: bool = False, progress: Progress = quiet) -> tuple[Damage, ...]:
    """Hash every file of every prepared package that its RECORD lists (the PyPA's "Recording installed projects").

    Byte code is not listed with a hash. With *repair* those that are damaged are taken out; a build that needs one
    makes it anew from its wheel.
    """
    entries = [entry for entry in list_entries(store) if entry.name.startswith("wheels/")]
    found = []
    for number, entry in enumerate(entries):
        progress("verifying packages", number, len(entries))
        cause = _damage(entry.path)
        if not cause:
            continue
        if repair:
            take_out_package(store, entry.path)
        remedy = "taken out: a build that needs it makes it anew" if repair else ""
        found.append(Damage("package", entry.name, cause, repaired=repair, remedy=remedy))
    progress("verifying packages", len(entries), len(entries))
    return tuple(found)


def _damage(tree: Path) -> str:
    for record in sorted(tree.glob("lib/python*/site-packages/*.dist-info/RECORD")):
        packages = record.parent.parent
        try:
            rows = list(csv.reader(record.read_text("utf-8").splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            return f"{record.parent.name}/RECORD can't be read: {error}"
        for row in rows:
            if len(row) >= 2 and row[1].startswith("sha256=") and not _has_hash(packages / row[0], row[1]):
                return f"{row[0]} is not what RECORD says"
    return ""


def _has_hash(path: Path, wanted: str) -> bool:
    try:
        handle = os.open(os.path.normpath(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False
        digest = hashlib.file_digest(stream, "sha256").digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}" == wanted
