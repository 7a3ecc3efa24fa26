"""What every image's root file system gets from us, and what must not stay in one: pure edits of a tree."""

from __future__ import annotations

from collections.abc import Iterable

from ..spec.model import HOME
from .dpkg import dpkg_config
from .tree import Tree

__all__ = [
    "HOME",
    "MANUAL_FOLDERS",
    "NEVER_RELEASED",
    "USER",
    "USER_ID",
    "add_user",
    "clean",
    "configure_apt",
    "prepare_root",
    "remove_mount_points",
    "write_neutral_files",
]

USER, USER_ID = "jovyan", 1000

_POLICY = b"#!/bin/sh\n# A container has no service manager: packages must not start services.\nexit 101\n"

_EMPTIED = ("run", "tmp", "var/tmp")
"""Folders that are kept, without what is in them."""

_WITHOUT_FILES = (
    "var/cache/apt", "var/cache/fontconfig", "var/cache/ldconfig", "var/cache/man", "var/lib/apt/lists", "var/log",
)  # fmt: skip
"""Folders whose files go; the folders in them are packages' own, and programs count on them."""

_REMOVED = (
    "etc/.pwd.lock", "etc/group-", "etc/gshadow-", "etc/passwd-", "etc/shadow-", "etc/subgid-", "etc/subuid-",
    "var/cache/debconf/config.dat-old", "var/cache/debconf/passwords.dat-old", "var/cache/debconf/templates.dat-old",
    "var/lib/dpkg/available-old", "var/lib/dpkg/diversions-old", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/statoverride-old", "var/lib/dpkg/status-old", "var/lib/dpkg/triggers/Lock",
    "var/lib/systemd/random-seed", "root/.bash_history", "root/.cache", "root/.wget-hsts",
)  # fmt: skip

NEVER_RELEASED = {"sid", "unstable", "testing", "experimental", "rc-buggy"}


MANUAL_FOLDERS = tuple(f"usr/share/man/man{section}" for section in range(1, 9))
"""Kept, although no page is in them: update-alternatives of packages with pages elsewhere (openjdk) makes links there
and fails where the folder is missing (Debian bug 863199)."""


def prepare_root(tree: Tree, suite: str) -> None:
    """Before the packages are configured: what their scripts look at."""
    tree.file("usr/sbin/policy-rc.d", _POLICY, 0o755)
    tree.file("etc/dpkg/dpkg.cfg.d/jupyter-containers", dpkg_config().encode(), 0o644)
    for folder in MANUAL_FOLDERS:
        tree.folder(folder, 0o755)
    configure_apt(tree, suite)
    write_neutral_files(tree)


def configure_apt(tree: Tree, suite: str) -> None:
    """apt's sources (Debian's own address, whatever mirror the build used) and the settings it needs in a container."""
    keyrings = [name for name in tree.names("usr/share/keyrings") if name.startswith("debian-archive-keyring.")]
    keyring = f"Signed-By: /usr/share/keyrings/{sorted(keyrings)[-1]}\n" if keyrings else ""  # .pgp is .gpg's successor
    entries = [("http://deb.debian.org/debian", suite if suite in NEVER_RELEASED else f"{suite} {suite}-updates")]
    if suite not in NEVER_RELEASED:
        entries.append(("http://deb.debian.org/debian-security", f"{suite}-security"))
    text = "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n{keyring}" for uri, suites in entries
    )
    tree.file("etc/apt/sources.list.d/debian.sources", text.encode(), 0o644)
    settings = (
        "// The container has one user id: apt can't become _apt, and must not try.\n"
        'APT::Sandbox::User "root";\n'
        "// Lists and archives are downloaded again when they are needed; an image is smaller without them.\n"
        'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
        'Acquire::Languages "none";\nAPT::Install-Recommends "false";\n'
    )
    tree.file("etc/apt/apt.conf.d/90jupyter-containers", settings.encode(), 0o644)


def write_neutral_files(tree: Tree) -> None:
    """Files that a runtime shows its own version of."""
    tree.file("etc/hostname", b"container\n", 0o644)
    tree.file("etc/hosts", b"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n", 0o644)
    tree.file("etc/resolv.conf", b"", 0o644)


ACCOUNTS = ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow")


def add_user(tree: Tree, day: int) -> None:
    """The user that kernels run as, with a home; *day* (since the epoch) is when the password was last changed.

    An account that has the id already keeps it: an image's own user of id 1000 is as good.
    """
    rows = {
        "etc/passwd": f"{USER}:x:{USER_ID}:{USER_ID}:{USER}:{HOME}:/bin/bash",
        "etc/group": f"{USER}:x:{USER_ID}:",
        "etc/shadow": f"{USER}:!:{day}:0:99999:7:::",
        "etc/gshadow": f"{USER}:!::",
    }
    present = {path: _rows(tree.read(path)) for path in ACCOUNTS}
    taken = any(row.split(":")[2:3] == [str(USER_ID)] for row in present["etc/passwd"] or ())
    for path, row in rows.items():
        found = present[path]
        if found is None and "shadow" in path:
            continue  # no shadow passwords here
        if taken or any(each.split(":")[0] == USER for each in found or ()):
            continue
        tree.file(path, _joined([*(found or ()), row]), 0o640 if "shadow" in path else 0o644)
    home = HOME.strip("/")
    tree.folder(home, 0o755)
    for name in tree.names("etc/skel"):
        content = tree.read(f"etc/skel/{name}")
        if content is not None:
            tree.file(f"{home}/{name}", content, 0o644)


def _rows(content: bytes | None) -> list[str] | None:
    return None if content is None else content.decode("utf-8", "surrogateescape").splitlines()


def _joined(rows: Iterable[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode("utf-8", "surrogateescape")


def remove_mount_points(tree: Tree) -> None:
    """Take the empty files out of a sandbox's upper layer that its own /etc/hosts and resolv.conf were mounted on."""
    for path in ("etc/hosts", "etc/resolv.conf", "etc/hostname"):
        if tree.read(path, 1) == b"":
            tree.remove(path)


def clean(tree: Tree, *, day: int | None = None) -> None:
    """Take out what would differ from build to build, or is of no use: caches, logs, backups, ids of a machine.

    With *day* (since the epoch) /etc/shadow's dates of the last change, which are those of the build, become that.
    """
    for folder in _EMPTIED:
        tree.empty(folder, folders=True)
    for folder in _WITHOUT_FILES:
        tree.empty(folder, folders=False)
    for path in _REMOVED:
        tree.remove(path)
    if tree.read("etc/machine-id"):
        # Empty, not missing: systemd's rule for images (machine-id(5)).
        tree.file("etc/machine-id", b"", 0o444)
    tree.remove("var/lib/dbus/machine-id")
    shadow = _rows(tree.read("etc/shadow"))
    if day is not None and shadow is not None:
        split = [row.split(":") for row in shadow]
        fixed = [
            ":".join([*row[:2], str(day), *row[3:]]) if len(row) > 3 and row[2] else ":".join(row) for row in split
        ]
        if fixed != shadow:
            tree.file("etc/shadow", _joined(fixed), 0o640)
