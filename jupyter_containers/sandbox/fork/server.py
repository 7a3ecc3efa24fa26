"""The fork server, inside its own sandbox: ready, it waits for orders and forks what they ask for.

Run by the image's Python (3.11 or newer) from this package, which is mounted for it. It has no thread and no
capability; its system call filter is that of containers but for what a fork needs to make its own namespaces. A fork
becomes, in order: a process in new namespaces (which ends at once, so that the next is the server's child), the first
process of the new pid namespace, which only waits, and the command.

Messages of a fork to who asked for it, each with its sender's pid as the kernel of the host knows it (unix(7),
SCM_CREDENTIALS): ``1`` by the first process, which waits for an answer before it makes the command, and ``2`` by the
command; ``=CODE`` at the end, ``!text`` where it can't go on.
"""

from __future__ import annotations

import gc
import marshal
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import TypedDict

from .. import kernel
from ..passing import Socket, receive, send, taken
from . import inside
from .memory import settle

__all__ = ["Orders", "serve"]

READY = b"ready"


class Orders(TypedDict):
    """What a fork is to be."""

    steps: list[tuple[object, ...]]
    uid: int
    gid: int
    network: bool
    """Whether it gets a network namespace of its own."""
    hostname: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    rlimits: list[tuple[int, int]]
    filter: bytes


def serve(handle: int, prepare: Callable[[], None], become: Callable[[list[str]], None]) -> None:
    """Serve the owner at the other end of descriptor *handle* until that is gone; never returns.

    *prepare* is called once and makes all ready; *become* in each fork, with its argv, and ends when the fork does.
    """
    end = taken(handle)
    kernel.adopt_orphans()
    try:
        prepare()
    except BaseException as error:
        send(end, f"!{error!r}"[:3000].encode())
        os._exit(1)
    settle()
    gc.disable()  # a collection would write to pages that the forks share; each fork has its own again
    # Without a handler the ended would stay until the next order comes.
    signal.signal(signal.SIGCHLD, lambda number, frame: _reap())
    send(end, READY)
    while True:
        try:
            _, fds = receive(end)
        except (EOFError, OSError):
            os._exit(0)
        if os.fork() == 0:
            end.close()
            _be(fds, become)
        for fd in fds:
            os.close(fd)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _be(fds: list[int], become: Callable[[list[str]], None]) -> None:
    """In a new process: what the orders say. Never returns."""
    code = 125
    channel = taken(fds[0])
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with open(fds[1], "rb") as file:
            orders: Orders = marshal.load(file)  # noqa: S302  of our owner, through a memfd
        inside.enter_namespaces(orders["uid"], orders["gid"], network=orders["network"])
        if os.fork():
            os._exit(0)
        _be_first(channel, fds[2:4], fds[4:], orders)
        code = _run(channel, orders, become)
    except OSError as error:
        _tell(channel, f"!{error.filename or 'fork'}: {error.strerror}")
    except BaseException as error:
        _tell(channel, f"!{error!r}")
    finally:
        os._exit(code)


def _be_first(channel: Socket, streams: list[int], mounts: list[int], orders: Orders) -> None:
    """The first process makes the sandbox, and waits in it for the command to end. Returns in the command."""
    channel.send(b"1")
    inside.make_root(orders["steps"], mounts)
    for fd in mounts:
        os.close(fd)
    inside.start_loopback(orders["hostname"], network=orders["network"])
    os.chdir(orders["cwd"])
    nothing = os.open("/dev/null", os.O_RDWR)
    for number, fd in enumerate((nothing, *streams)):
        os.dup2(fd, number)
    os.closerange(3, channel.fileno())
    os.closerange(channel.fileno() + 1, 1 << 16)
    os.umask(0o022)
    inside.drop_rights(orders["filter"])
    if not channel.recv(16):  # its owner puts it, meanwhile, where it and its children are counted, and says so
        os._exit(125)
    child = os.fork()
    if child == 0:
        return
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code
            _tell(channel, f"={code}")
            os._exit(code)


def _run(channel: Socket, orders: Orders, become: Callable[[list[str]], None]) -> int:
    os.setsid()
    for which, value in orders["rlimits"]:
        resource.setrlimit(which, (value, value))
    channel.send(b"2")
    channel.close()
    os.environ.clear()
    os.environ.update({"PWD": orders["cwd"], **orders["env"]})  # bwrap sets it, too
    gc.enable()
    try:
        become(orders["argv"])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:  # noqa: SIM105
                stream.flush()
            except (OSError, ValueError):
                pass
    return 0


def _tell(channel: Socket, text: str) -> None:
    try:  # noqa: SIM105
        channel.send(text[:3000].encode(errors="replace"))
    except OSError:
        pass  # nobody wants to know
