"""How a build step runs: as root to itself, as nobody to the host.

Package managers expect to be root: they change owners, make device nodes and become other users. In a user namespace
with a single id all of that fails with EINVAL or EPERM. The filter ``build`` (:mod:`..sandbox.filters`) answers those
system calls with success and does nothing, so every file belongs to the one id there is, which an image calls root.
What it can't give: files of different owners, set-user-ID programs that work, a device.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from ..errors import HostError
from ..sandbox.model import Bind, Limits, Overlay, Sandbox
from .network import Network, host_network

__all__ = ["ENVIRONMENT", "check_architecture", "find_emulator", "host_architecture", "step_sandbox"]

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    # py3compile and dpkg scripts start Python: no byte code beside what they compile on purpose.
    "PYTHONDONTWRITEBYTECODE": "1",
    # Sets have another order in each run otherwise, and byte code with it.
    "PYTHONHASHSEED": "0",
}

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "ppc64le": "ppc64el"}
_EMULATED = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "arm", "ppc64el": "ppc64le"}
_BINFMT = Path("/proc/sys/fs/binfmt_misc")


def host_architecture() -> str:
    """Debian's name of this machine's architecture."""
    machine = platform.machine()
    return _MACHINES.get(machine, machine)


def find_emulator(architecture: str, binfmt: Path = _BINFMT) -> str | None:
    """The interpreter that the kernel runs programs of *architecture* with, or None where none is registered.

    Only those count that were registered with the flag F (binfmt_misc, "fix binary"): the kernel has opened them
    already, so they work in a root that doesn't hold them.
    """
    name = _EMULATED.get(architecture)
    if name is None:
        return None
    for entry in (f"qemu-{name}", f"qemu-{name}-static", name):
        try:
            text = (binfmt / entry).read_text()
        except OSError:
            continue
        lines = text.splitlines()
        flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
        if lines[:1] == ["enabled"] and "F" in flags:
            return next((line.split()[1] for line in lines if line.startswith("interpreter ")), entry)
    return None


def check_architecture(architecture: str) -> None:
    """:class:`HostError` where programs of *architecture* don't run here."""
    if architecture == host_architecture() or find_emulator(architecture) is not None:
        return
    raise HostError(
        f"this machine is {host_architecture()} and no emulator for {architecture} is registered with the kernel",
        hint="install qemu-user-binfmt (or qemu-user-static) on the host, or build on a machine of that architecture",
    )


def step_sandbox(
    argv: tuple[str, ...],
    *,
    root: Overlay,
    store: Path,
    network: bool = False,
    env: Mapping[str, str] | None = None,
    binds: tuple[Bind, ...] = (),
    limits: Limits | None = None,
    cwd: str = "/",
) -> Sandbox:
    """A sandbox for one command of a build: uid 0 in it, root emulated, /run and /dev/shm its own."""
    files = {"/etc/hosts": b"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 build\n"}
    settings = host_network() if network else Network()
    return Sandbox(
        argv=argv,
        root=root,
        store=store,
        env={**ENVIRONMENT, **settings.env, **(env or {})},
        cwd=cwd,
        uid=0,
        gid=0,
        hostname="build",
        binds=binds,
        files={**files, **settings.files},
        network="full" if network else "none",
        filter="build",
        limits=limits or Limits(),
    )


def usable_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))
