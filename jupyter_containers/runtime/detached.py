"""Containers that outlive this process: each has a monitor.

The monitor lives in two stages. :func:`main`, a whole Python with this package in it, starts the sandbox and tells
whether that went well; then it becomes :mod:`.monitor` by execv, which keeps its pid and its child (the sandbox) and
needs a few MiB for the days that a container may live.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .. import errors
from ..errors import BuildError, ContainerError, ContainersError
from ..image.durable import full_disk_told
from ..paths import Paths
from ..sandbox import launcher
from .base import Stdio
from .folder import Folder
from .ownership import mark_ahead, take
from .reaping import package_paths

__all__ = ["main", "start_detached"]

_CODE = (
    "import sys; sys.path[:0] = {paths!r}; from jupyter_containers.runtime.detached import main; main({arguments!r})"
)


_held: list[object] = []
"""What this process, which is about to become the monitor, must not let go."""


def start_detached(folder: Folder, paths: Paths, *, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> None:
    """Start the container in *folder* with a monitor. Errors as of :func:`.starting.start_sandbox`."""
    config = folder.config()
    if config.outlive:
        take(folder.path)
    if config.ahead:
        mark_ahead(folder.path)
    told, tell = os.pipe()
    streams = [handle if handle is not None else -1 for handle in (stdin, stdout, stderr)]
    arguments = [str(paths.home), str(paths.runtime), folder.id, tell, *streams]
    code = _CODE.format(paths=package_paths(), arguments=arguments)
    try:
        # -S: `site` reads every .pth file of the environment, for nothing that is needed here.
        starter = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            pass_fds=[tell, *(handle for handle in streams if handle >= 0)], start_new_session=True, cwd="/",
        )  # fmt: skip
    finally:
        os.close(tell)
    with open(told, "rb") as stream:
        answer = stream.read()
    starter.wait()  # it has forked the monitor: no zombie of ours stays
    if not answer:
        raise ContainerError(
            f"the monitor of container {folder.id} ended before it had started it (status {starter.returncode})",
            hint="its message is on standard error",
        )
    said = json.loads(answer)
    if "error" in said:
        raise _restore(said)
    if config.warm is not None:
        folder.change(start="fresh: it can outlive the process that started it, and a fork can't")


def main(arguments: list[object]) -> None:
    """The monitor's first stage; never returns."""
    if os.fork():
        os._exit(0)
    launcher.ahead()
    home, runtime, container_id, tell, *streams = arguments
    assert isinstance(tell, int)
    folder = Folder(Paths(Path(str(home)), Path(str(runtime))).containers / str(container_id))
    try:
        with full_disk_told(folder.path):
            command = _start(folder, Path(str(home)), [int(str(handle)) for handle in streams])
    except ContainersError as error:
        output, code = getattr(error, "output", ""), getattr(error, "exit_code", None)
        said = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        _say(tell, {**said, "output": output, "exit_code": code})
        os._exit(1)
    except Exception as error:
        message = f"container {folder.id} could not be started: {type(error).__name__}: {error}"
        _say(tell, {"error": "ContainersError", "message": message, "hint": "", "output": "", "exit_code": None})
        raise
    _say(tell, {"ok": True})
    launcher.stop()  # it would be a zombie for as long as the container lives
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    os.execv(command[0], command)  # noqa: S606


def _start(folder: Folder, home: Path, streams: list[int]) -> list[str]:
    """Start the sandbox; the argument vector of the second stage, with descriptors that it inherits."""
    from ..image.store import Store
    from ..sandbox.delegation import holder_pipe
    from .facts import read_image
    from .starting import start_sandbox

    lock = folder.hold()
    config = folder.config()
    store = Store(home / "store")
    # Held for as long as its descriptor is open, through the execv; the generator that made it must not be collected.
    leasing = store.lease([config.image, *config.layers])
    lease = leasing.__enter__()
    image = read_image(store.image(config.image))
    stdin, stdout, stderr = (handle if handle >= 0 else None for handle in streams)
    kept_open = [lock, *lease.filenos()]
    output = terminal = -1
    if config.tty and stdout is None:
        # Nobody sees it, but a shell with a terminal waits for input, and programs write line by line.
        terminal, slave = os.openpty()
        stdin = slave if stdin is None else stdin
        stdout, stderr = slave, slave
        output = terminal
    elif stdout is None or stderr is None:
        output, log = os.pipe()
        stdout = log if stdout is None else stdout
        stderr = log if stderr is None else stderr
    started = start_sandbox(
        folder, config, image, home=home, stdin=stdin, stdout=stdout, stderr=stderr,
        output=output if terminal < 0 and output >= 0 else None,
    )  # fmt: skip
    if output >= 0:
        os.set_blocking(output, True)
        kept_open.append(output)
    if (holder := holder_pipe()) is not None:
        kept_open.append(holder)
    for handle in kept_open:
        os.set_inheritable(handle, True)
    assert started.kept.process is not None
    script = str(Path(__file__).with_name("monitor.py"))
    numbers = [
        started.process.pid,
        started.process.child_pid,
        output,
        config.disk or 0,
        int(config.remove),
        config.time or 0,
        config.outlive,
    ]
    _held.append(leasing)
    return [sys.executable, "-I", "-S", script, str(folder.path), *map(str, numbers), *package_paths()]


def _say(handle: int, message: dict[str, object]) -> None:
    os.write(handle, json.dumps(message).encode())
    os.close(handle)


def _restore(said: dict[str, object]) -> ContainersError:
    """The monitor's error as one of this process's."""
    kind = getattr(errors, str(said["error"]), ContainersError)
    message, hint, code = str(said["message"]), str(said["hint"]), said["exit_code"]
    if issubclass(kind, ContainerError):
        return ContainerError(
            message, output=str(said["output"]), exit_code=code if isinstance(code, int) else None, hint=hint
        )
    if issubclass(kind, ContainersError) and not issubclass(kind, BuildError):
        return kind(message, hint=hint)
    return ContainersError(message, hint=hint)
