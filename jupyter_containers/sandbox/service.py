"""The launcher's own side (:mod:`.launcher` is its owner's): it waits for orders, and :mod:`.launch` carries them out.

An interpreter takes 15 ms to start; a fork of one that has done nothing yet takes half a millisecond, and while there
is nothing to do one is made ahead, the *spare*, which has its stage set. Each child is, to the kernel, a child of the
owner. Run as ``python -I -S``.

Messages, on a socket that keeps their bounds: from the owner orders and the descriptors that go with them, to the owner
``=PID`` or ``=-ERRNO`` for each; and ``+PID`` for a spare, with a socket on which it takes orders from the owner
itself. When it has, the owner asks for the ``next``.
"""

from __future__ import annotations

import errno
import gc
import marshal
import os
import resource
import sys

from . import kernel
from .failure import Failure
from .launch import Maps, become, carry_out, fill_stage, make_maps, make_network, mount_stage, read
from .passing import MOUNTS, NEXT, Socket, is_waiting, pair, receive, send, taken
from .spaces import ground

TYPE_CHECKING = False  # typing is a slow import here
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .orders import MountOrders, Orders

__all__ = ["serve"]

_MOST_MAPS = 256
"""A server has one for each owner of a folder that it mounts."""


def serve(handle: int, owner: int, stage: str) -> None:
    """Carry out what comes through the socket *handle* while process *owner* lives; never returns.

    *stage*: the folder that orders use as theirs; empty where they need none.
    """
    kernel.set_parent_death_signal(kernel.SIGKILL)
    if os.getppid() != owner:
        os._exit(0)
    gc.disable()  # a collection would write to every page that children share
    gc.freeze()
    _Service(taken(handle), owner, stage).run()


class _Service:
    def __init__(self, end: Socket, owner: int, stage: str) -> None:
        self._end = end
        self._owner = owner
        self._stage = stage
        self._maps: Maps = {}
        self._ground = -1
        self._has_spare = False

    def run(self) -> None:
        while True:
            if not is_waiting(self._end):
                self._prepare()
            try:
                message, fds = receive(self._end)
            except (EOFError, OSError):
                os._exit(0)
            if message == NEXT:
                self._has_spare = False
                continue
            try:
                answer = self._mount(fds) if message == MOUNTS else self._start(fds)
            except OSError as error:
                answer = -(error.errno or errno.EIO)
            self._tell(b"=%d" % answer)
            for fd in fds:
                os.close(fd)

    def _tell(self, message: bytes, fds: Sequence[int] = ()) -> None:
        try:
            send(self._end, message, fds)
        except OSError:
            os._exit(0)

    def _prepare(self) -> None:
        """What can be done before orders come."""
        if self._has_spare:
            return
        if self._stage and self._ground < 0:
            try:  # noqa: SIM105  contextlib is a slow import here
                # Where this interpreter and this package are, bwrap is most often as well.
                self._ground = ground(self._stage, (sys.executable, __file__))
            except OSError:
                pass  # all of the host's mounts do as well
        ours, theirs = pair()
        try:
            pid = kernel.fork_sibling()
        except OSError:
            ours.close()
            theirs.close()
            return  # when orders come, it is told
        if pid == 0:
            try:
                ours.close()
                self._end.close()  # the owner is to see the end of it when the launcher ends
                self._wait_as_spare(theirs)
            finally:
                os._exit(125)
        self._has_spare = True
        self._tell(b"+%d" % pid, [ours.fileno()])
        ours.close()
        theirs.close()

    def _start(self, fds: list[int]) -> int:
        """A child that carries out the orders in the first of *fds*; its pid."""
        orders = read(fds[0])
        if len(self._maps) > _MOST_MAPS:
            for each in self._maps.values():
                os.close(each)
            self._maps.clear()
        try:  # noqa: SIM105
            make_maps(orders, self._maps)
        except (Failure, OSError):
            pass  # the child fails at the same, and tells it where it is read
        group = next((path for path in orders["groups"] if path.endswith("/cgroup.procs")), "")
        child = self._fork_into(group, orders) if group else kernel.fork_sibling()
        if child == 0:
            try:
                _carry_out(orders, fds[1:], self._maps, self._new_stage())
            finally:
                os._exit(125)
        return child

    def _mount(self, fds: list[int]) -> int:
        """A child that makes the mounts in the first of *fds* and sends them through the second; its pid."""
        packed, answer = fds
        with open(packed, "rb", closefd=False) as file:
            mounts: MountOrders = marshal.load(file)  # noqa: S302  written by our owner, through a memfd
        try:  # noqa: SIM105
            make_maps(mounts, self._maps)
        except (Failure, OSError):
            pass  # the child fails at the same, and tells it
        child = kernel.fork_sibling()
        if child == 0:
            try:
                _make_mounts(mounts, self._maps, taken(answer))
            finally:
                os._exit(0)
        return child

    def _fork_into(self, group: str, orders: Orders) -> int:
        """A child that is in a v2 control group from its first instruction."""
        try:
            folder = os.open(group.removesuffix("/cgroup.procs"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                child = kernel.fork_sibling(cgroup=folder)
            finally:
                os.close(folder)
        except OSError:
            return kernel.fork_sibling()  # it joins as any process does, or tells what is in the way
        orders["groups"].remove(group)
        return child

    # In a child

    def _wait_as_spare(self, end: Socket) -> None:
        kernel.set_parent_death_signal(kernel.SIGKILL)
        if os.getppid() != self._owner:
            os._exit(0)
        stage = self._new_stage()
        network = self._new_network()
        try:
            _, fds = receive(end)
        except (EOFError, OSError):
            os._exit(0)
        orders = read(fds[0])
        if network >= 0 and not orders["network"]:
            kernel.join_namespace(network, "net")
        _carry_out(orders, fds[1:], self._maps, stage, network=network >= 0)

    def _new_network(self) -> int:
        """Be in a network namespace of its own; the one before as a descriptor, -1 where that can't be done."""
        before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            make_network()
        except OSError:
            kernel.join_namespace(before, "net")
            os.close(before)
            return -1  # when there are orders, it is told
        return before

    def _new_stage(self) -> int:
        """A mount namespace like the ground with an empty stage; this process stays where it is."""
        if self._ground < 0:
            return -1
        here = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        kernel.join_namespace(self._ground, "mnt")
        kernel.unshare("mnt")
        mount_stage(self._stage)
        stage = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        kernel.join_namespace(here, "mnt")
        os.close(here)
        return stage


def _make_mounts(mounts: MountOrders, maps: Maps, answer: Socket) -> None:
    """In a child: send the mounts, or why there are none."""
    from .fork.mounter import make_mounts

    place = mounts["stage"]
    try:
        if mounts["identity"] is not None:
            make_maps(mounts, maps)
            fill_stage(mounts, maps)
            place += "/fork"
            os.mkdir(place)  # noqa: PTH102
            become(mounts["identity"])
            kernel.own_files()
        send(answer, b"", make_mounts(mounts["sources"], place))
    except Failure as failure:
        send(answer, f"{failure}\0{failure.hint}".encode())
    except OSError as error:
        send(answer, f"cannot mount {error.filename}: {error.strerror}\0".encode(errors="replace"))


def _carry_out(orders: Orders, fds: list[int], maps: Maps, stage: int, *, network: bool = False) -> None:
    """Be what subprocess.Popen makes of a child: its descriptors and no others, a session of its own. Then go on."""
    # Before the descriptors: the owner's numbers may be above what was the limit when this process was started.
    resource.setrlimit(resource.RLIMIT_NOFILE, orders["open_files"])
    numbers = frozenset(orders["fds"])
    maps = {shift: _clear_of(numbers, fd) for shift, fd in maps.items()}
    stage = _clear_of(numbers, stage)
    sources = [_clear_of(numbers, fd) for fd in fds]
    for source, number in zip(sources, orders["fds"], strict=True):
        os.dup2(source, number)  # all others are closed by execve
    os.setsid()
    carry_out(orders, maps, stage, network=network)


def _clear_of(numbers: frozenset[int], fd: int) -> int:
    while fd in numbers:
        fd = os.dup(fd)
    return fd
