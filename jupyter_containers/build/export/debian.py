"""The Debian packages of a lock for another builder: from an archive as it was, and held to their hashes."""

from __future__ import annotations

import shlex
import time
from calendar import timegm
from collections.abc import Sequence

from ...lock.model import DebianPackage, Lock
from ..rootfs import NEVER_RELEASED
from .parts import File

__all__ = ["DEBS", "install_packages", "list_debs", "snapshot"]

DEBS = "debs.sha256"
_SNAPSHOT = "http://snapshot.debian.org/archive"
_LATER = 12 * 3600
"""Seconds from the date of a suite to a snapshot that has it: they are made every six hours, of what mirrors have."""


def snapshot(lock: Lock) -> tuple[str, str]:
    """The archive and the security archive as they were when the lock was made; as they are, where it has no date."""
    if not lock.base.date:
        return "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
    then = timegm(time.strptime(lock.base.date, "%Y-%m-%dT%H:%M:%SZ")) + _LATER
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(then))
    return f"{_SNAPSHOT}/debian/{stamp}", f"{_SNAPSHOT}/debian-security/{stamp}"


def list_debs(packages: Sequence[DebianPackage]) -> File:
    """The list that ``sha256sum --check`` reads, by the names that apt gives its downloads."""
    lines = [f"{package.sha256}  {_file_name(package)}\n" for package in packages]
    return File(path=DEBS, content="".join(sorted(lines, key=lambda line: line[64:])))


def install_packages(packages: Sequence[DebianPackage], lock: Lock, *, suites: Sequence[str] = ()) -> str:
    """The instructions. *suites*: more of the archive than the base's own (backports)."""
    archive, security = snapshot(lock)
    wanted = " \\\n        ".join(f"{package.name}={package.version}" for package in packages)
    return (
        f"# Debian's archive as it was when this was locked ({lock.base.date or 'not known: the current one'}).\n"
        f"ARG DEBIAN={archive}\n"
        f"ARG DEBIAN_SECURITY={security}\n"
        f"COPY {DEBS} /tmp/jupyter-containers/\n"
        "RUN set -eu; export DEBIAN_FRONTEND=noninteractive; \\\n"
        "    rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*; \\\n"
        f"    {_sources(lock.base.suite, suites)} > /etc/apt/sources.list; \\\n"
        "    apt-get update; \\\n"
        "    set -- --yes --no-install-recommends --allow-downgrades --allow-change-held-packages \\\n"
        f"        {wanted}; \\\n"
        '    apt-get install --download-only "$@"; \\\n'
        "    cd /var/cache/apt/archives; \\\n"
        "    for deb in *.deb; do \\\n"
        '        [ -e "$deb" ] || continue; \\\n'
        f'        grep -F "  $deb" /tmp/jupyter-containers/{DEBS} | sha256sum --check --quiet; \\\n'
        "    done; \\\n"
        '    apt-get install "$@"; \\\n'
        "    apt-get clean; rm -rf /var/lib/apt/lists/* /tmp/jupyter-containers"
    )


def _sources(suite: str, more: Sequence[str]) -> str:
    """A command that prints apt's sources; the archives' variables are filled in by the shell."""
    option = "[check-valid-until=no]"
    suites = [suite, *([] if suite in NEVER_RELEASED else [f"{suite}-updates"]), *more]
    lines = [f'"deb {option} $DEBIAN {shlex.quote(name)} main"' for name in suites]
    if suite not in NEVER_RELEASED:
        lines.append(f'"deb {option} $DEBIAN_SECURITY {shlex.quote(f"{suite}-security")} main"')
    return "printf '%s\\n' " + " ".join(lines)


def _file_name(package: DebianPackage) -> str:
    return f"{package.name}_{package.version.replace(':', '%3a')}_{package.architecture}.deb"
