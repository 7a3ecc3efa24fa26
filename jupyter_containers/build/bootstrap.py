"""A Debian root file system out of .debs: unpacked by us, all at once, then configured by dpkg in the sandbox.

debootstrap and mmdebstrap unpack with dpkg, one package after the other, and configure under real or emulated root.
Here nothing of Debian's tools is needed on the host, and an ordinary user is enough.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..sandbox.model import Overlay
from . import dpkg, rootfs
from .bounds import Bounds
from .deb import Control, read_date
from .emulation import check_architecture, step_sandbox
from .execution import execute
from .report import Reporter, check_cancelled
from .tree import Tree
from .unpack import unpack

__all__ = ["bootstrap", "newest_date"]

TIME_LIMIT = 3600.0
"""Seconds for configuring; under an emulator it takes minutes."""


def bootstrap(
    debs: Mapping[str, Path],
    root: Path,
    *,
    suite: str,
    architecture: str,
    store: Path,
    reporter: Reporter,
    cancel: threading.Event | None = None,
) -> int:
    """Make the tree of *debs* (by package name) in the empty folder *root*, which lies in *store*.

    Returns the epoch for :meth:`~..image.store.Store.commit_layer`: the date of the newest package, so that the same
    packages give the same bytes on any day. Raises :class:`BuildError` where a package's scripts fail,
    :class:`HostError` where programs of *architecture* don't run here.
    """
    check_architecture(architecture)
    epoch = newest_date(debs.values())
    reporter.phase("unpacking")
    progress = reporter.progress("unpacking", "bytes")
    controls = unpack(debs, root, architecture=architecture, progress=progress, cancel=cancel)
    with Tree(root) as tree:
        rootfs.prepare_root(tree, suite)
    check_cancelled(cancel)
    reporter.phase("configuring")
    script = configure_script(controls)
    sandbox = step_sandbox(("/bin/sh", "-c", script), root=Overlay((), root), store=store)
    bounds = Bounds(seconds=TIME_LIMIT)
    execute(sandbox, command="dpkg --configure -a", reporter=reporter, cancel=cancel, bounds=bounds)
    with Tree(root) as tree:
        rootfs.add_user(tree, epoch // 86400)
        rootfs.clean(tree, day=epoch // 86400)
        rootfs.write_neutral_files(tree)
    return epoch


def newest_date(debs: Iterable[Path]) -> int:
    """The newest build date among packages, in seconds since the epoch."""
    return max((read_date(deb) for deb in debs), default=0)


def configure_script(controls: Sequence[Control]) -> str:
    """The shell script that makes unpacked packages installed ones.

    dpkg runs ``preinst`` before it unpacks; here the files are there already, which these scripts (deb-preinst(5))
    take as well: they ask for what an older version left behind, and on a first install find nothing.
    """
    lines = ["set -e", "export DPKG_MAINTSCRIPT_NAME=preinst DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT="]
    for control in dpkg.order(controls):
        if "preinst" in control.files:
            path = shlex.quote(f"/var/lib/dpkg/info/{control.info_name}.preinst")
            name, architecture = shlex.quote(control.name), shlex.quote(control.fields["Architecture"])
            settings = f"DPKG_MAINTSCRIPT_PACKAGE={name} DPKG_MAINTSCRIPT_ARCH={architecture}"
            lines.append(f"{settings} {path} install || {{ echo preinst of {name} failed >&2; exit 1; }}")
    lines += ["unset DPKG_MAINTSCRIPT_NAME DPKG_ADMINDIR DPKG_ROOT", "dpkg --configure -a", "dpkg --audit"]
    return "\n".join(lines) + "\n"
