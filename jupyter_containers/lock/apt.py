"""Debian packages as the lock has them, and fetching them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .fetch import Download, Fetcher, Progress, no_progress
from .model import Base, DebianPackage
from .packages import Candidate
from .solver import solve
from .universe import Universe, Wish, parse_wish

__all__ = ["Universe", "Wish", "fetch_debs", "parse_wish", "solve", "to_lock"]


def to_lock(chosen: Mapping[str, Candidate], *, archive: str) -> tuple[DebianPackage, ...]:
    """As the lock holds them, sorted by name; *archive* is the base's first, and not repeated."""
    return tuple(
        DebianPackage(
            name=item.name,
            version=item.version,
            architecture=item.architecture,
            filename=item.filename,
            size=item.size,
            sha256=item.sha256,
            archive="" if item.archive == archive else item.archive,
        )
        for item in sorted(chosen.values(), key=lambda item: item.name)
    )


def fetch_debs(
    packages: Sequence[DebianPackage], *, base: Base, fetcher: Fetcher, progress: Progress = no_progress
) -> dict[str, Path]:
    """Name → .deb in the cache, each with the hash that the lock has. Any mirror will do: the lock's own first, then
    those of the settings. Raises what :meth:`Fetcher.fetch_many` raises."""
    settings = fetcher.settings
    items = []
    for package in packages:
        roots = [package.archive or base.archive]
        # A security archive holds other files than the main one, so its mirrors stand in for it only.
        roots += settings.security_archives if package.archive else settings.debian_archives
        urls = tuple(f"{root}/{package.filename}" for root in dict.fromkeys(roots) if root)
        items.append(Download(urls, package.sha256, package.size))
    paths = fetcher.fetch_many(items, what="Debian packages", progress=progress)
    return {package.name: path for package, path in zip(packages, paths, strict=True)}
