"""Start sandboxes: :func:`spawn` one that goes on by itself, :func:`run` one to its end.

Three processes matter: *bwrap's monitor* outside (``pid``), the sandbox's *first process* (``child_pid``, pid 1 of
its pid namespace: bwrap's reaper, or the command itself with ``pid_1``), and the *command* (``command_pid``). When
the first process ends the kernel kills all others, so SIGKILL to it leaves nothing.
"""

from __future__ import annotations

import functools
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from ..errors import CancelledError, ContainerError, ContainersError, HostError
from . import idmap, launcher, orders, signals
from .bwrap import Bwrap, Fds, find_bwrap, options, this_host
from .cgroup import Group
from .choice import expect_bwrap
from .filters import filter_program
from .handover import (
    environment,
    mark_of,
    memory_file,
    open_files,
    pids_by_rlimit,
    rlimits,
    shell_prefix,
    standard_streams,
    status_file,
)
from .life import Child, Process, Tail, readable, setup_error
from .model import Bind, Sandbox
from .preparation import prepare
from .sources import open_linkless
from .terminal import command as through_terminal
from .terminal import program as terminal_program

__all__ = ["Process", "run", "spawn", "tell_with_output"]

_OUTPUT_KEPT = 4096


def spawn(
    sandbox: Sandbox,
    *,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
    group: Group | None = None,
    pass_fds: Sequence[int] = (),
    terminal: bool = False,
    status: Path | None = None,
    bwrap: Bwrap | None = None,
) -> Process:
    """Start a sandbox; returns once its command runs.

    *stdin*, *stdout*, *stderr* are as for :class:`subprocess.Popen`. *pass_fds* reach the command under the same
    numbers. *terminal*: stdin is a pseudo-terminal, which becomes the controlling one of the command's own session
    (:mod:`.terminal`). *status*: a file for bwrap's JSON documents, for an owner that may end before the sandbox
    does; the exit code can be read from it later. *bwrap*: what :func:`find_bwrap` found in another process.

    It gets a session of its own: a Ctrl-C at the caller's terminal does not reach it.

    Raises HostError when the host can't set it up and ContainerError when the command can't be executed; nothing
    is left running then. With ``die_with_parent`` call it from a thread that stays.
    """
    expected = None if bwrap is not None else expect_bwrap()
    sandbox = prepare(sandbox)
    start = functools.partial(
        _start, sandbox, stdin=stdin, stdout=stdout, stderr=stderr, group=group, pass_fds=pass_fds, terminal=terminal,
        status=status,
    )  # fmt: skip
    if expected is None:
        return start(bwrap=bwrap or find_bwrap())
    try:
        return start(bwrap=expected)
    except HostError:
        found = find_bwrap()  # raises with the remedy where none works
        if found.path == expected.path:
            raise
        return start(bwrap=found)


def _joined(words: Sequence[str]) -> bytes:
    """*words* as bwrap reads them from a descriptor: with a NUL after each.

    :class:`ContainerError` for one that has a NUL in it: what follows it would be an option, and a variable of a
    stranger's image could mount what it likes.
    """
    encoded = [os.fsencode(word) for word in words]
    bad = next((word for word in encoded if b"\0" in word), None)
    if bad is not None:
        raise ContainerError(
            f"{bad[:80]!r} has a NUL in it, which no program can be given",
            hint="it is a word of the command, a variable or a path, of yours or of the image's configuration",
        )
    return b"".join(word + b"\0" for word in encoded)


def _start(
    sandbox: Sandbox,
    *,
    stdin: int | None,
    stdout: int | None,
    stderr: int | None,
    group: Group | None,
    pass_fds: Sequence[int],
    terminal: bool,
    status: Path | None,
    bwrap: Bwrap,
) -> Process:
    program = str(bwrap.path)
    clones: tuple[idmap.Clone, ...] = ()
    as_root = idmap.is_needed()
    if as_root:
        stage = idmap.stage_sandbox(sandbox, bwrap.path)
        sandbox, program, clones = stage.sandbox, stage.bwrap, stage.clones
    command = through_terminal(sandbox.argv, sandbox.env) if terminal else list(sandbox.argv)
    with ExitStack() as stack:
        files = {target: memory_file(stack, "file", content) for target, content in sandbox.files.items()}
        status_fd = status_file(status)
        # As root the launcher opens them, before it becomes another user.
        sources = {} if as_root else {bind.target: _open_source(bind, stack) for bind in sandbox.binds if bind.resolved}
        block, release = pids_by_rlimit(stack, group)
        helper = memory_file(stack, "terminal", terminal_program()) if terminal else None
        fds = Fds(
            memory_file(stack, mark_of(status), filter_program(sandbox.filter)),
            status_fd,
            block,
            helper,
            files,
            sources,
        )
        # The launcher makes the network namespace, bwrap's processes are in it from the start.
        within = sandbox._replace(network="full") if as_root else sandbox
        given = options(within, fds=fds, host=this_host())
        args = memory_file(stack, "args", _joined(given))
        argv = [program, "--args", str(args), "--", *command]
        _joined(argv)
        inherited = [*pass_fds, args, *fds.all()]
        joins = group.joins if group else ()
        limits = rlimits(sandbox.limits, group, pids=False)
        streams = (stdin, stdout, stderr)
        prefix = group.prefix if group else ()
        try:
            child: Child
            if as_root or signals.are_ignored():
                sent = list(dict.fromkeys(inherited))
                packed = orders.pack(
                    argv,
                    fds=[0, 1, 2, *sent],
                    open_files=open_files(),
                    status=status_fd,
                    network=as_root and sandbox.network == "none",
                    groups=[str(path) for path in joins],
                    rlimits=limits,
                    identity=idmap.UNPRIVILEGED_ID if as_root else None,
                    stage=idmap.stage_folder(),
                    clones=clones,
                    parent=os.getpid() if sandbox.die_with_parent else 0,
                )
                orders_fd = memory_file(stack, "orders", packed)
                if prefix:  # the service manager's program goes first, and starts the rest itself
                    inherited.append(orders_fd)
                    child = _popen([*prefix, *orders.command(orders_fd)], streams, inherited, group)
                else:
                    sent = [*standard_streams(stack, streams), *sent]
                    child = launcher.launch(orders_fd, sent, clones=clones, groups=joins)
            else:
                child = _popen([*prefix, *shell_prefix(joins, limits), *argv], streams, inherited, group)
        except BaseException:
            os.close(status_fd)
            raise
        process = Process(child, status_fd, sandbox.argv[0], pid_1=sandbox.pid_1, error_output=Tail(stderr, stdout))
        try:
            process.await_start(release)
        except BaseException:
            process.kill()
            raise
    return process


def _popen(
    argv: list[str], streams: tuple[int | None, int | None, int | None], pass_fds: Sequence[int], group: Group | None
) -> Child:
    stdin, stdout, stderr = streams
    try:
        return subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds, start_new_session=True, cwd="/",
            env=environment(group), umask=0o022,  # the caller's would decide the modes of what a build makes
        )  # fmt: skip
    except OSError as error:
        raise HostError(f"cannot start {argv[0]}: {error.strerror}") from error


def _open_source(bind: Bind, stack: ExitStack) -> int:
    try:
        fd = open_linkless(str(bind.source))
    except OSError as error:
        raise HostError(
            f"cannot mount {bind.source}: {error.strerror}",
            hint="look at who else can write its parent folders",
        ) from error
    stack.callback(os.close, fd)
    return fd


def run(
    sandbox: Sandbox,
    *,
    on_output: Callable[[bytes], None],
    timeout: float | None = None,
    cancel: threading.Event | None = None,
    group: Group | None = None,
    stdin: int | None = subprocess.DEVNULL,
) -> int:
    """Run a sandbox to its end; its output, standard and error merged, goes to *on_output* as it comes.

    Returns the exit code. Raises ContainerError after *timeout* seconds, CancelledError soon after *cancel* is set,
    and what :func:`spawn` raises. Nothing is left running in any case.
    """
    read, write = os.pipe()
    kept = bytearray()

    def deliver(data: bytes) -> None:
        kept.extend(data)
        del kept[:-_OUTPUT_KEPT]
        on_output(data)

    with open(read, "rb", buffering=0) as output:
        try:
            process = spawn(sandbox, stdin=stdin, stdout=write, stderr=write, group=group)
        except ContainersError as error:
            os.close(write)
            text = os.read(read, 65536).decode(errors="replace") if readable(read, 0) else ""
            raise tell_with_output(error, text) from error
        except BaseException:
            os.close(write)
            raise
        os.close(write)
        with process:
            deadline = None if timeout is None else time.monotonic() + timeout
            while True:
                if cancel is not None and cancel.is_set():
                    raise CancelledError(f"{sandbox.argv[0]} was stopped", output=kept.decode(errors="replace"))
                if deadline is not None and time.monotonic() > deadline:
                    raise ContainerError(
                        f"{sandbox.argv[0]} did not end within {timeout:g} s",
                        output=kept.decode(errors="replace"),
                        hint="give it more time, or look at its output for what it waits for",
                    )
                if not readable(read, 0.1):
                    continue
                data = output.read(65536)
                if not data:
                    break
                deliver(data)
            code = process.wait()
            try:
                process.check()
            except ContainersError as error:
                raise tell_with_output(error, kept.decode(errors="replace")) from error
            return code


def tell_with_output(error: ContainersError, text: str) -> ContainersError:
    """The error of a :func:`spawn`, told with what bwrap wrote to the output, which a caller with a pipe has."""
    if "bwrap: " not in text or not isinstance(error, HostError | ContainerError):
        return error
    return setup_error(text, getattr(error, "exit_code", None) or 1)
