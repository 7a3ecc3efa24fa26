"""From what a container is created from to the sandbox that runs it: pure, so that each decision can be tested."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ..errors import ContainerError, InputError, Problem
from ..image.model import ExecutionConfig
from ..sandbox.model import Bind, Limits, Overlay, Sandbox, Volume
from .account import GID, HOME, UID, USER, Account, find_account, has_id
from .base import BindMount, ContainerConfig

__all__ = [
    "GID", "HOME", "UID", "USER", "HostFacts", "ImageFacts", "check_mounts", "make_sandbox", "unique_layers",
    "volume_targets",
]  # fmt: skip

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/boot")
"""Read-only for the ordinary user. Not /opt: the environment's Python lies there, and `pip install` in a notebook
goes to the container's own layer. Not /etc and /var: programs keep state there."""
NO_LIMITS = Limits()
_TAKEN = ("/proc", "/dev", "/sys")
_ROOT = "root:x:0:0:root:/root:/bin/sh"


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
    account = find_account(config.user or image.execution.user, image.passwd, image.group)
    environment = _environment(config, image, host, account)
    return Sandbox(
        argv=config.argv,
        root=Overlay(unique_layers(image.layers), folder / "upper", folder / "work"),
        store=home,
        env=environment | dict(device_env or {}),
        cwd=config.cwd or image.execution.working_dir or environment["HOME"],
        uid=account.uid,
        gid=account.gid,
        hostname=_hostname(config),
        binds=(
            *(Bind(Path(m.source), m.target, writable=m.mode == "rw", resolved=True) for m in config.mounts),
            *devices,
        ),
        volumes=tuple(
            Volume(target, folder / "volumes" / str(number) / "upper", folder / "volumes" / str(number) / "work")
            for number, target in enumerate(volume_targets(config, image.execution))
        ),
        files=_files(image, host, _hostname(config), account, network=config.network),
        read_only=SYSTEM_FOLDERS if config.read_only_system and account.uid else (),
        network=config.network,
        filter="container",
        limits=limits,
        die_with_parent=True,  # of the owner, or of the monitor: neither leaves a container without a keeper
        new_session=True,
    )


def volume_targets(config: ContainerConfig, execution: ExecutionConfig) -> tuple[str, ...]:
    """Where the image wants volumes (OCI image-spec, config.md, "Volumes"), sorted. Of those that the caller mounts
    something at, or above, there is none: what is mounted is what the image is to use."""
    mounted = [posixpath.normpath(mount.target) for mount in config.mounts]
    wanted = {posixpath.normpath(path) for path in execution.volumes or {} if path.startswith("/")}
    return tuple(
        sorted(
            path
            for path in wanted
            if path not in ("/", "//", "/run")
            and not any(path == taken or path.startswith(f"{taken}/") for taken in (*_TAKEN, *mounted))
        )
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


def _environment(config: ContainerConfig, image: ImageFacts, host: HostFacts, account: Account) -> dict[str, str]:
    """Nothing of the host but the time zone and the terminal's name; then the image's; then what was asked for."""
    own = {"HOME": account.home, "USER": account.name, "LOGNAME": account.name}
    env = {"PATH": _PATH, "LANG": "C.UTF-8", **own, "HOSTNAME": _hostname(config)}
    if host.time_zone:
        env["TZ"] = host.time_zone
    if config.tty:
        env["TERM"] = host.terminal or "xterm"
    env |= image.execution.environment
    if config.user:
        env |= own  # what an image's Env says of them is its own user's
    return env | config.env


def _hostname(config: ContainerConfig) -> str:
    return config.hostname or config.name or "container"


def _files(image: ImageFacts, host: HostFacts, hostname: str, account: Account, *, network: str) -> dict[str, bytes]:
    files = {
        "/etc/hosts": f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 {hostname}\n".encode(),
        "/etc/hostname": f"{hostname}\n".encode(),
    }
    if network == "full" and host.resolv_conf:
        files["/etc/resolv.conf"] = host.resolv_conf
    # getpwuid() fails in images without an entry, and with it `whoami`, ssh, and Python's Path.home() without HOME.
    uid, gid, name, home, known = account
    if not known:
        rows = [row for row in (image.passwd.rstrip() or (_ROOT if uid else ""),) if row]
        files["/etc/passwd"] = "\n".join([*rows, f"{name}:x:{uid}:{gid}::{home}:/bin/sh", ""]).encode()
    if not has_id(image.group, gid):
        rows = [row for row in (image.group.rstrip() or ("root:x:0:" if gid else ""),) if row]
        files["/etc/group"] = "\n".join([*rows, f"{name}:x:{gid}:", ""]).encode()
    return files
