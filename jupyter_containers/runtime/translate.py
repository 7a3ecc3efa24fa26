"""From what a container is created from to the sandbox that runs it: pure, so that each decision can be tested."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ..errors import ContainerError, InputError, Problem
from ..image.model import ExecutionConfig
from ..sandbox.model import Bind, Limits, Overlay, Sandbox
from .base import BindMount, ContainerConfig

__all__ = ["GID", "HOME", "UID", "USER", "HostFacts", "ImageFacts", "check_mounts", "make_sandbox", "unique_layers"]

USER, UID, GID, HOME = "jovyan", 1000, 1000, "/home/jovyan"
"""As in the Jupyter docker stacks and repo2docker: notebooks and images expect it."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/boot")
"""Read-only for the ordinary user. Not /opt: the environment's Python lies there, and `pip install` in a notebook
goes to the container's own layer. Not /etc and /var: programs keep state there."""
NO_LIMITS = Limits()
GENERATED = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/passwd", "/etc/group")
"""Files that are mounted over the image's own."""
_TAKEN = ("/proc", "/dev", "/sys")


class ImageFacts(msgspec.Struct, frozen=True):
    """What of an image's files has a say."""

    layers: tuple[Path, ...]
    """Lowest first."""
    execution: ExecutionConfig
    passwd: str
    group: str


class HostFacts(msgspec.Struct, frozen=True):
    """What of the host a container may know."""

    time_zone: str = ""
    """``Europe/Berlin``; empty: UTC."""
    resolv_conf: bytes = b""
    terminal: str = ""
    """``TERM`` of the user's terminal."""


def make_sandbox(
    config: ContainerConfig,
    image: ImageFacts,
    host: HostFacts,
    *,
    folder: Path,
    home: Path,
    limits: Limits = NO_LIMITS,
    devices: tuple[Bind, ...] = (),
    device_env: Mapping[str, str] | None = None,
) -> Sandbox:
    """The sandbox of the container in *folder*, which lies below the store's mount *home*.

    *devices*: what :mod:`.gpu` found. Raises :class:`ContainerError` where the configuration can't be run.
    """
    if not config.argv:
        raise ContainerError("no command was given, and the image has none", hint="write it after the image's name")
    root = config.user == "root"
    hostname = config.hostname or config.name or "container"
    user_home = "/root" if root else HOME
    return Sandbox(
        argv=config.argv,
        root=Overlay(unique_layers(image.layers), folder / "upper", folder / "work"),
        store=home,
        env=_environment(config, image, host, hostname, user_home) | dict(device_env or {}),
        cwd=config.cwd or image.execution.working_dir or user_home,
        uid=0 if root else UID,
        gid=0 if root else GID,
        hostname=hostname,
        binds=(
            *(Bind(Path(m.source), m.target, writable=m.mode == "rw", resolved=True) for m in config.mounts),
            *devices,
        ),
        files=_files(image, host, hostname, network=config.network, root=root),
        read_only=SYSTEM_FOLDERS if config.read_only_system and not root else (),
        network=config.network,
        filter="container",
        limits=limits,
        die_with_parent=True,  # of the owner, or of the monitor: neither leaves a container without a keeper
        new_session=True,
    )


def unique_layers(layers: tuple[Path, ...]) -> tuple[Path, ...]:
    """*layers*, lowest first, each once: overlayfs refuses a folder that is given twice ("may not overlap").

    The topmost stays: all that the same layer has further down is hidden by it.
    """
    return tuple(reversed(dict.fromkeys(reversed(layers))))


def check_mounts(mounts: tuple[BindMount, ...]) -> None:
    """Raise :class:`InputError` with everything that is wrong with *mounts*; looks at the host's disk."""
    problems = []
    targets: set[str] = set()
    for mount in mounts:
        where = f"{mount.source}:{mount.target}"
        target = posixpath.normpath(mount.target)
        if not mount.target.startswith("/") or ".." in mount.target.split("/"):
            problems.append(Problem(where, "the target is not an absolute path", "write it from / on, without .."))
        elif target == "/" or any(target == taken or target.startswith(taken + "/") for taken in _TAKEN):
            problems.append(Problem(where, f"{target} is the container's own", "choose another target"))
        elif target in targets:
            problems.append(Problem(where, f"{target} is a target twice", "mount one thing there"))
        targets.add(target)
        if not mount.source.startswith("/"):
            problems.append(Problem(where, "the source is not an absolute path", "write it from / on"))
        elif not Path(mount.source).exists():
            problems.append(
                Problem(where, f"{mount.source} does not exist on the host", "make it, or correct the path")
            )
    if problems:
        raise InputError("a mount is not possible", problems=problems)


def _environment(
    config: ContainerConfig, image: ImageFacts, host: HostFacts, hostname: str, home: str
) -> dict[str, str]:
    """Nothing of the host but the time zone and the terminal's name; then the image's; then what was asked for."""
    env = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": home, "HOSTNAME": hostname}
    env |= {"USER": "root", "LOGNAME": "root"} if config.user == "root" else {"USER": USER, "LOGNAME": USER}
    if host.time_zone:
        env["TZ"] = host.time_zone
    if config.tty:
        env["TERM"] = host.terminal or "xterm"
    env |= image.execution.environment
    if config.user == "root":
        env["HOME"] = home  # an image's HOME is its ordinary user's
    return env | config.env


def _files(image: ImageFacts, host: HostFacts, hostname: str, *, network: str, root: bool) -> dict[str, bytes]:
    files = {
        "/etc/hosts": f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 {hostname}\n".encode(),
        "/etc/hostname": f"{hostname}\n".encode(),
    }
    if network == "full" and host.resolv_conf:
        files["/etc/resolv.conf"] = host.resolv_conf
    # getpwuid(1000) fails in foreign images, and with it `whoami`, ssh, and Python's Path.home() without HOME.
    if not root and not _has_id(image.passwd, UID):
        base = image.passwd or "root:x:0:0:root:/root:/bin/sh\n"
        files["/etc/passwd"] = f"{base.rstrip()}\n{USER}:x:{UID}:{GID}::{HOME}:/bin/sh\n".encode()
    if not root and not _has_id(image.group, GID):
        base = image.group or "root:x:0:\n"
        files["/etc/group"] = f"{base.rstrip()}\n{USER}:x:{GID}:\n".encode()
    return files


def _has_id(database: str, number: int) -> bool:
    """Whether passwd(5) or group(5) text has an entry with that id: the third field of both."""
    return any(line.split(":")[2:3] == [str(number)] for line in database.splitlines())
