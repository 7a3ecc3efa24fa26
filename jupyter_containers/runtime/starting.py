"""Start a container: from its folder to a running sandbox. The owner does this, and for detached ones the monitor."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from ..errors import ContainerError, ContainersError, LimitError
from ..image.inside import exists_in_root
from ..image.tree import remove_tree
from ..sandbox.cgroup import Group
from ..sandbox.life import Running
from ..sandbox.model import Sandbox
from ..sandbox.process import spawn, tell_with_output
from .base import ContainerConfig
from .facts import read_host
from .folder import Folder, Identity, Kept, scope
from .gpu import choose_gpus
from .identity import read_start_time
from .limits import apply_limits, report_limits, sandbox_limits
from .log import Log
from .program import find_refusal
from .translate import ImageFacts, check_mounts, make_sandbox

__all__ = ["Spawner", "Started", "start_sandbox"]


class Spawner(Protocol):
    """What makes a sandbox run: :func:`..sandbox.process.spawn`, or :mod:`.warm`."""

    def __call__(
        self, sandbox: Sandbox, *, stdin: int, stdout: int, stderr: int, group: Group | None, status: Path,
        terminal: bool,
    ) -> Running: ...  # fmt: skip


class Started(msgspec.Struct, frozen=True):
    process: Running
    kept: Kept


def start_sandbox(
    folder: Folder,
    config: ContainerConfig,
    image: ImageFacts,
    *,
    home: Path,
    stdin: int | None,
    stdout: int,
    stderr: int,
    output: int | None = None,
    spawner: Spawner = spawn,
) -> Started:
    """Start it and write its state; returns once its program runs.

    *stdin* None: ``/dev/null``. *output*: the reading end of the pipe that *stderr* is, if it is one: what bwrap said
    is read from it when it fails. Raises :class:`ContainerError`, :class:`LimitError` or :class:`HostError`; nothing
    is left running then, and no control group.
    """
    kept = folder.kept()
    check_mounts(config.mounts)
    gpus = choose_gpus(config.gpus or 0)
    sandbox = make_sandbox(
        config, image, read_host(terminal=config.tty), folder=folder.path, home=home,
        limits=sandbox_limits(config), devices=gpus.binds, device_env=dict(gpus.env),
    )  # fmt: skip
    if kept.started_at is None:
        _make_folders(folder, (sandbox.env["HOME"], sandbox.cwd), image, config)
        if config.kind == "kernel" and not exists_in_root(image.layers, "/tmp"):  # noqa: S108  in the container
            (folder.upper / "tmp").mkdir()  # an image made from scratch: a Python kernel does not start without
            (folder.upper / "tmp").chmod(0o1777)
        for volume in sandbox.volumes:
            volume.upper.mkdir(parents=True)
            volume.work.mkdir(mode=0o700)
    for work in (folder.work, *(volume.work for volume in sandbox.volumes)):
        _empty_work(work)
    group = apply_limits(config, folder.path)
    try:
        process = spawner(
            sandbox, stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=stdout, stderr=stderr, group=group,
            status=folder.path / "status.json", terminal=config.tty,
        )  # fmt: skip
    except ContainersError as error:
        _give_up(folder, group)
        raise _explained(_with_output(error, config, output, folder), config, sandbox, image) from error
    except BaseException:
        _give_up(folder, group)
        raise
    kept = msgspec.structs.replace(
        kept, status="running", started_at=time.time(), ended_at=None, exit_code=None, cause="", oom=False,
        memory_limit=None, memory_peak=None, paused=False, stopped=(), scope=scope(),
        keeper=Identity.of(os.getpid()), process=Identity(process.pid, read_start_time(process.pid) or 0),
        pid=process.child_pid, limits=report_limits(config, group),
        start=getattr(spawner, "outcome", f"fresh: {config.why_fresh}" if config.why_fresh else ""),
    )  # fmt: skip
    folder.keep(kept)
    return Started(process, kept)


def _make_folders(folder: Folder, paths: Sequence[str], image: ImageFacts, config: ContainerConfig) -> None:
    """The home and the working directory where the image lacks them, as docker does.

    Before the first start only: afterwards the layer is the container's, with links that could lead out of it.
    """
    for path in paths:
        mounted = any(path == mount.target or path.startswith(mount.target + "/") for mount in config.mounts)
        if (
            not mounted
            and path.startswith("/")
            and ".." not in path.split("/")
            and not exists_in_root(image.layers, path)
        ):
            (folder.upper / path.lstrip("/")).mkdir(parents=True, exist_ok=True)


def _explained(error: ContainersError, config: ContainerConfig, sandbox: Sandbox, image: ImageFacts) -> ContainersError:
    """*error*, or what is wrong with the program: bwrap told that on the caller's own streams, if those are used."""
    refusal = None if isinstance(error, LimitError) else find_refusal(sandbox, image.layers)
    if refusal is None:
        return error
    return ContainerError(
        f"container {config.name}: cannot execute {config.argv[0]}: {refusal.cause}",
        output=getattr(error, "output", ""), exit_code=refusal.exit_code, hint=refusal.hint,
    )  # fmt: skip


def _empty_work(work: Path) -> None:
    """overlayfs wants it empty; a start before has left something."""
    if any(work.iterdir()):
        remove_tree(work)
        work.mkdir(mode=0o700)


def _give_up(folder: Folder, group: Group | None) -> None:
    if group is not None:
        group.remove()
        (folder.path / "group.json").unlink(missing_ok=True)


def _with_output(
    error: ContainersError, config: ContainerConfig, output: int | None, folder: Folder
) -> ContainersError:
    """*error* with the container's name, and with what bwrap printed before it failed, which the log has as well."""
    text = ""
    if output is not None:
        os.set_blocking(output, False)
        with suppress(BlockingIOError):
            data = os.read(output, 1 << 16)
            Log(str(folder.log)).write(data)
            text = data.decode(errors="replace")
    told = tell_with_output(error, text)
    if isinstance(told, ContainerError):
        message = f"container {config.name}: {told.message}"
        return ContainerError(message, output=told.output, exit_code=told.exit_code, hint=told.hint)
    return told
