"""From a :class:`Sandbox` to what makes a fork of a ready process live in it (pure but for a look at the sources).

Two parties mount. What lies on the host is opened by a process of ours that sees the host (:mod:`.mounter`); the fork,
which has run code of the image, sees nothing of it: it gets *sources*, detached mounts as descriptors, and *steps*,
what to do with them in a mount namespace of its own (:mod:`.inside`). :mod:`..bwrap` has the same sandbox as options.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import HostError
from ..bwrap import Host
from ..merging import check_length
from ..model import Bind, Sandbox, Tmpfs, Volume
from ..preparation import by_depth

__all__ = ["Plan", "Source", "Step", "make_plan"]

Source = tuple[Any, ...]
"""``("overlay", layers, upper, work)``, layers lowest first, upper empty: read-only; or
``("bind", path, writable, device, resolved)``."""
Step = tuple[Any, ...]
"""A call of :mod:`.inside`: its name, and its arguments."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = {"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "fd": "/proc/self/fd",
         "core": "/proc/kcore", "ptmx": "pts/ptmx"}  # fmt: skip


class Plan(NamedTuple):
    sources: tuple[Source, ...]
    steps: tuple[Step, ...]


def make_plan(sandbox: Sandbox, host: Host, *, staged: Sandbox | None = None) -> Plan:
    """*sandbox* is prepared (:func:`..preparation.prepare`); *staged*: as root, where its sources will lie for the
    mounter (:func:`..idmap.stage_sandbox`). Raises HostError where it is of a kind that is not forked.
    """
    staged = staged or sandbox
    root = staged.root
    if sandbox.uid == 0:
        # user_namespaces(7): mapping the parent namespace's 0 takes CAP_SETFCAP there, which a fork server has not.
        raise HostError("a container whose user is root inside can't be forked")
    if not root.layers or root.upper is None or root.work is None:
        raise HostError("only a container with layers and a writable layer of its own can be forked")
    sources: list[Source] = []
    steps: list[Step] = []

    def attach(source: Source, target: str, *, folder: bool = True) -> None:
        steps.append(("attach", len(sources), target, folder))
        sources.append(source)

    attach(_overlay(root.layers, root.upper, root.work), "/")
    for name, parts in root.read_only.items():
        attach(_overlay(parts) if len(parts) > 1 else _bind(parts[0]), name)
    steps += _system(host)
    for known, each in zip(by_depth(sandbox), by_depth(staged), strict=True):
        if isinstance(each, Tmpfs):
            steps.append(("tmpfs", each.target, each.size, each.mode))
        elif isinstance(each, Volume):
            source = _overlay(each.layers, each.upper, each.work) if each.layers else _bind(each.upper, writable=True)
            attach(source, each.target)
        elif isinstance(known, Bind) and not (known.optional and not known.source.exists()):
            attach(_bind(each.source, like=each), each.target, folder=_is_folder(known))
    steps += [("file", target, content) for target, content in sandbox.files.items()]
    return Plan(tuple(sources), tuple(steps))


def _system(host: Host) -> list[Step]:
    """``/proc``, ``/dev``, ``/run`` and ``/sys``, as :mod:`..bwrap` has them."""
    steps: list[Step] = [("proc",), ("devices", DEVICES, LINKS)]
    steps += [("read_only", path) for path in host.read_only]
    steps += [("cover", path) for path in host.masked]
    steps += [("tmpfs", path, None, 0o555) for path in host.masked_folders]
    if host.message_queues:
        steps.append(("queues", "/dev/mqueue"))
    steps += [("tmpfs", "/run", None, 0o755), ("tmpfs", "/sys", None, 0o755)]
    return [*steps, *(("show", path) for path in host.system)]


def _overlay(layers: tuple[Path, ...], upper: Path | None = None, work: Path | None = None) -> Source:
    check_length((*layers, *(each for each in (upper, work) if each is not None)))
    return ("overlay", [str(layer) for layer in layers], str(upper or ""), str(work or ""))


def _bind(path: Path, *, writable: bool = False, like: Bind | None = None) -> Source:
    if like is not None:
        return ("bind", str(path), like.writable, like.device, like.resolved)
    return ("bind", str(path), writable, False, False)


def _is_folder(bind: Bind) -> bool:
    try:
        return stat.S_ISDIR(os.stat(bind.source, follow_symlinks=not bind.resolved).st_mode)  # noqa: PTH116
    except OSError as error:
        raise HostError(f"cannot mount {bind.source}: {error.strerror}", hint="make it, or correct the path") from error
