"""The fork server, inside its own sandbox: ready, it waits for orders and forks what they ask for.

Run by the image's Python (3.11 or newer) from this package, which is mounted for it. It has no thread and no
capability; its system call filter is that of containers but for what a fork needs to make its own namespaces. A fork
becomes, in order: a process in new namespaces (which ends at once, so that the next is the server's child), the first
process of the new pid namespace, which only waits, and the command.

A fork is asked for with a :class:`Wish`, a channel, and the files of the control groups to join; what it is to be comes
through the channel when it has namespaces, which take it as long as its mounts take those who make them. Its messages,
each with its sender's pid as the kernel of the host knows it (unix(7), SCM_CREDENTIALS): ``1`` by the first process,
which does nothing more before its orders come, and ``2`` by the command; ``=`` and a status at the end (:mod:`.init`),
``!text`` where it can't go on.
"""

from __future__ import annotations

import gc
import marshal
import os
import resource
import signal
import sys
from collections.abc import Callable, Collection
from typing import TypedDict

from .. import kernel
from ..passing import Socket, receive, send, taken
from . import init, inside
from .memory import settle

__all__ = ["Orders", "Wish", "serve"]

READY = b"ready"


class Wish(TypedDict):
    """What has to be known of a fork from its first moment."""

    uid: int
    gid: int
    network: bool
    """Whether it gets a network namespace of its own."""


class Orders(TypedDict):
    """What a fork is to be."""

    steps: list[tuple[object, ...]]
    hostname: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    rlimits: list[tuple[int, int]]
    filter: bytes


def serve(handle: int, prepare: Callable[[], Collection[int]], become: Callable[[list[str]], None]) -> None:
    """Serve the owner at the other end of descriptor *handle* until that is gone; never returns.

    *prepare* is called once, makes all ready, and returns the ids of the code that forks are going to run
    (:mod:`.code`); *become* in each fork, with its argv, and ends when the fork does.
    """
    end = taken(handle)
    kernel.adopt_orphans()
    try:
        written = prepare()
        _refuse_threads()
    except BaseException as error:
        send(end, f"!{error!r}"[:3000].encode())
        os._exit(1)
    program = init.make_program()
    settle(written)
    gc.disable()  # a collection would write to pages that the forks share; each fork has its own again
    # Without a handler the ended would stay until the next order comes.
    signal.signal(signal.SIGCHLD, lambda number, frame: _reap())
    send(end, READY)
    while True:
        try:
            packed, fds = receive(end)
        except (EOFError, OSError):
            os._exit(0)
        if os.fork() == 0:
            end.close()
            _be(marshal.loads(packed), fds, become, program)  # noqa: S302  of our owner
        for fd in fds:
            os.close(fd)


def _refuse_threads() -> None:
    """A thread is not there in a fork, where what it has begun waits for it. (Those of libraries that see to forks by
    themselves, as OpenBLAS does, are none of Python's.)"""
    import _thread  # whatever is imported has brought the two
    import threading

    names = [each.name for each in threading.enumerate() if each is not threading.main_thread()]
    unnamed = _thread._count() - len(names)  # of _thread.start_new_thread(), until they ask who they are
    if names or unnamed > 0:
        told = ", ".join(names + [f"{unnamed} without a name"] * (unnamed > 0))
        raise RuntimeError(f"what is imported has started threads, which no fork has: {told}")


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _be(wish: Wish, fds: list[int], become: Callable[[list[str]], None], program: int) -> None:
    """In a new process: what is wished for. Never returns."""
    code = 125
    channel = taken(fds[0])
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _join(fds[1:])
        inside.enter_namespaces(wish["uid"], wish["gid"], network=wish["network"])
        if os.fork():
            os._exit(0)
        orders = _be_first(channel, wish, program)
        code = _run(channel, orders, become)
    except (EOFError, ConnectionError):
        pass  # it is not wanted any more
    except OSError as error:
        _tell(channel, f"!{error.filename or 'fork'}: {error.strerror}")
    except BaseException as error:
        _tell(channel, f"!{error!r}")
    finally:
        os._exit(code)


def _join(groups: list[int]) -> None:
    """Join the control groups whose files *groups* are. Whoever opened them sees to it where it can't be done here.

    A process moves itself at once; another would wait for all processors, 6 to 16 ms (:attr:`..cgroup.Group.joins`).
    """
    for file in groups:
        try:  # noqa: SIM105
            os.write(file, b"0")
        except OSError:
            pass
        os.close(file)


def _be_first(channel: Socket, wish: Wish, program: int) -> Orders:
    """The first process makes the sandbox, and waits in it for the command to end. Returns in the command."""
    if wish["network"]:
        kernel.bring_loopback_up()
    channel.send(b"1")
    _, fds = receive(channel)
    streams, mounts = fds[1:3], fds[3:]
    with open(fds[0], "rb") as file:
        orders: Orders = marshal.load(file)  # noqa: S302  of our owner, through a memfd
    inside.make_root(orders["steps"], mounts)
    for fd in mounts:
        os.close(fd)
    kernel.set_hostname(orders["hostname"])
    os.chdir(orders["cwd"])
    nothing = os.open("/dev/null", os.O_RDWR)
    for number, fd in enumerate((nothing, *streams)):
        os.dup2(fd, number)
    begin = 3
    for fd in sorted({channel.fileno(), program, 1 << 16} - {-1}):
        os.closerange(begin, fd)
        begin = fd + 1
    os.umask(0o022)
    inside.drop_rights(orders["filter"])
    child = os.fork()
    if child == 0:
        if program >= 0:
            os.close(program)
        return orders
    init.wait(channel, child, program)
    raise AssertionError("the first process never returns")


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
