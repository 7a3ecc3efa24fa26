"""Kernels that have been started ahead: whole containers, each used once.

Where kernels can be forks, they are forks. A start takes one that is as it would be made itself, down to the notebook's
folder and every mount; only what can be changed while a kernel runs may differ (:mod:`.warmth`). It has bound its
sockets and has answered, and is paused until then (forks are not), so that it uses no processor. A thread of this
process starts the next when no start is under way; it hears of those that end, and starts others. How many there are,
and for how long, is :mod:`..runtime.ready`'s to say; who ends this process, ends them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..errors import ContainerError, ContainersError
from ..runtime.base import Container, ContainerConfig
from ..runtime.pausing import is_doomed
from ..runtime.ready import current_shelf
from .connection import ConnectionFolder
from .host import Host
from .line import Line
from .warmth import LATE_LIMITS, late_code, rehearsed_code, split_late

__all__ = ["MakeConfig", "Order", "Ready", "Taken", "current_pool"]

MakeConfig = Callable[[ConnectionFolder, Mapping[str, str]], ContainerConfig]
"""The container of a kernel with that connection folder, and those variables."""

QUIET = 1.0
"""Seconds after a start in which none is made for the pool: the kernel that was started comes first."""
QUIET_FORK = 0.2
"""The same for a fork, which takes a tenth of the work."""
BIND_INTERVAL = 0.02
PATIENCE = 60.0
"""Seconds that one may take to answer."""
RETRY, MOST_TRIES = 0.25, 20
"""Seconds between two tries to make a fork: what it is to come from is asked for by the start that is under way."""
MOST_DEATHS = 3
"""Of one kind, one after the other, after which no more are started."""


@dataclass(frozen=True)
class Order:
    """A kernel that is wanted, and how others like it are made."""

    host: Host
    language: str
    env: Mapping[str, str]
    config: ContainerConfig
    """As a fresh start would have it."""
    make: MakeConfig
    prepare: Callable[[ConnectionFolder], None]
    """Write what it reads at its start, beside its connection file, into that folder."""
    kernel_name: str = ""
    scheme: str = "hmac-sha256"
    """By which messages are signed."""
    number: int = 1
    """How many are to wait."""
    reason: str = ""
    """Why it is no fork."""

    @property
    def early(self) -> dict[str, str]:
        return split_late(self.language, self.env)[0]

    @property
    def late(self) -> dict[str, str]:
        return split_late(self.language, self.env)[1]

    def key(self) -> tuple[str, bytes]:
        """What has to be the same."""
        made = self.build(ConnectionFolder(self.host.paths.runtime / "any"))
        limited = {name: None if getattr(made, name) is None else 1 for name in LATE_LIMITS}
        told = msgspec.json.encode((self.kernel_name, self.scheme, msgspec.structs.replace(made, **limited)))
        return str(self.host.paths.home), told

    def build(self, connection: ConnectionFolder) -> ContainerConfig:
        """The container of one that nobody has yet."""
        made = self.make(connection, self.early)
        return msgspec.structs.replace(made, ahead=True, warm=self.config.warm, why_fresh="", time=None)

    @property
    def is_fork(self) -> bool:
        return self.config.warm is not None


@dataclass(eq=False)
class Ready:
    """A kernel that waits."""

    container: Container
    connection: ConnectionFolder
    key: bytes
    line: Line
    pid: int
    handle: int
    """Of the container's first process: readable once it has ended (pidfd_open(2))."""

    def close(self) -> None:
        """Let go of it; the container stays."""
        self.line.close()
        os.close(self.handle)

    def end(self) -> None:
        self.close()
        with contextlib.suppress(ContainersError):
            self.container.remove(force=True)
        self.connection.remove()


@dataclass(frozen=True)
class Taken:
    """A kernel that waited for just this, or why there is none."""

    ready: Ready | None
    reason: str = ""


@dataclass(eq=False)
class _Kind:
    """Kernels of one kind: an :class:`..runtime.ready.Item`."""

    pool: Pool
    key: Hashable
    order: Order
    subject: tuple[str, str]
    used: float = field(default_factory=time.monotonic)
    failed: str = ""
    closed: bool = False
    deaths: int = 0
    tries: int = 0
    """That have failed."""
    later: float = 0.0
    """When the next may be."""
    waiting: list[Ready] = field(default_factory=list)
    wanted_now: int = 0
    """Starts that wait for one."""

    def count(self) -> int:
        if self.failed or self.order.is_fork:  # a fork is small, and goes with its fork server
            return 0
        return max(self.order.number, len(self.waiting))

    def is_free(self) -> bool:
        return not self.wanted_now

    def alive(self) -> list[Ready]:
        return [ready for ready in self.waiting if not _has_ended(ready)]

    def memory(self) -> int:
        total = 0
        for ready in list(self.waiting):
            with contextlib.suppress(ContainersError):  # it has just been taken, or has ended
                total += ready.container.stats().memory
        return total

    def give_up(self, reason: str) -> None:
        self.failed = reason
        self.close()

    def close(self) -> None:
        self.closed = True
        self.pool.empty(self)


class Pool:
    """Use :func:`current_pool`: one per process. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kinds: list[_Kind] = []
        self._last_start = 0.0
        self._wake = -1

    def take(self, order: Order, *, wait: bool = False) -> Taken:
        """One that waits for *order*, which goes on and has what it lacked: the caller's from now on; another will take
        its place. *wait*: until there is one, or there can be none. Blocks for a moment."""
        key, subject = order.key(), (order.config.image_name, order.config.image)
        kind, _ = current_shelf().place(key, lambda: _Kind(self, key, order, subject))
        with self._changed:
            self._last_start = time.monotonic()
            if kind not in self._kinds and not kind.closed:
                self._kinds.append(kind)
            self._run()
            if wait:
                kind.wanted_now += 1
                self._stir()
                self._changed.wait_for(lambda: kind.alive() or kind.closed)
                kind.wanted_now -= 1
            # One that has just ended stays for the thread, which is about to hear of it and tells why.
            ready = next(iter(kind.alive()), None)
            if ready is not None:
                kind.waiting.remove(ready)
            if not kind.failed:
                kind.order, kind.used, kind.deaths = order, time.monotonic(), kind.deaths if ready is None else 0
            self._stir()
        if ready is None:
            return Taken(None, kind.failed or "none of its kind is ready yet")
        try:
            _adapt(ready, order)
        except ContainersError as error:
            ready.end()
            return Taken(None, f"the one that was ready can't be used: {error.message}")
        ready.close()
        return Taken(ready)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The containers' ids of those that can be taken now."""
        with self._changed:
            return tuple(ready.container.id for kind in self._kinds for ready in kind.waiting)

    def empty(self, kind: _Kind) -> None:
        """End what waits of *kind*, for good."""
        with self._changed:
            if kind in self._kinds:
                self._kinds.remove(kind)
            leaving, kind.waiting = kind.waiting, []
            self._changed.notify_all()
            self._stir()
        for ready in leaving:
            ready.end()

    # The thread

    def _run(self) -> None:
        if self._wake < 0:
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            threading.Thread(target=self._work, name="kernel-pool", daemon=True).start()

    def _stir(self) -> None:
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def _work(self) -> None:
        while True:
            with self._changed:
                lacking = [kind for kind in self._kinds if len(kind.waiting) < max(kind.order.number, kind.wanted_now)]
                kind = max(lacking, key=lambda kind: (kind.wanted_now, -kind.later, kind.used), default=None)
                quiet = QUIET_FORK if kind is not None and kind.order.is_fork else QUIET
                earliest = max(self._last_start + quiet, kind.later if kind is not None else 0.0)
                rest = earliest - time.monotonic()
                if kind is not None and (kind.wanted_now or rest <= 0):
                    rest = 0.0
            if kind is None or rest > 0:
                self._wait(None if kind is None else rest)
            else:
                self._fill(kind)
            self._bury()

    def _wait(self, seconds: float | None) -> None:
        """Until there is something to do: *seconds* are over, it was asked for something, or a kernel has ended."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        with self._changed:
            handles = [ready.handle for kind in self._kinds for ready in kind.waiting]
        for handle in handles:
            poll.register(handle, select.POLLIN)
        poll.poll(None if seconds is None else 1000 * seconds + 1)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _fill(self, kind: _Kind) -> None:
        try:
            ready = _start(kind.order)
        except (ContainersError, OSError) as error:
            kind.tries += 1
            if kind.order.is_fork and kind.tries < MOST_TRIES:
                kind.later = time.monotonic() + RETRY
                return
            kind.give_up(error.message if isinstance(error, ContainersError) else str(error))
            if kind.order.is_fork:  # a fork server that is gone may be there again
                current_shelf().drop(kind.key, kind)
            return
        with self._changed:
            unwanted = kind.closed
            if not unwanted:
                kind.waiting.append(ready)
                kind.tries = 0
            self._changed.notify_all()
        if unwanted:
            ready.end()
        else:
            current_shelf().weigh()

    def _bury(self) -> None:
        """Take out those that have ended."""
        with self._changed:
            dead = [(kind, ready) for kind in self._kinds for ready in kind.waiting if _has_ended(ready)]
            for kind, ready in dead:
                kind.waiting.remove(ready)
                kind.deaths += 1
        for kind, ready in dead:
            cause = ""
            with contextlib.suppress(ContainersError):
                ready.container.resume()
                ready.container.wait(5.0)
                cause = ready.container.state().cause
            ready.end()
            if kind.deaths >= MOST_DEATHS:
                kind.give_up(f"kernels that wait for it end by themselves: {cause}")


def _has_ended(ready: Ready) -> bool:
    poll = select.poll()
    poll.register(ready.handle, select.POLLIN)
    return bool(poll.poll(0)) or is_doomed(ready.pid)


def _start(order: Order) -> Ready:
    connection = ConnectionFolder.choose(order.host.paths)
    connection.make()
    container: Container | None = None
    line: Line | None = None
    handle = -1
    try:
        key = secrets.token_hex(16).encode()
        order.prepare(connection)
        connection.write(
            {
                **connection.info(key, order.scheme),
                "kernel_name": order.kernel_name,
                "jupyter_session": "",
            }
        )
        container = order.host.runtime.create(order.build(connection))
        container.start()
        pid = container.state().pid or 0
        handle = os.pidfd_open(pid)
        _await_bound(container, connection)
        line = Line(connection, key, order.scheme)
        line.ask("kernel_info_request", timeout=PATIENCE)
        if code := rehearsed_code(order.language):
            line.ask("execute_request", _silently(code), timeout=PATIENCE)
        if not order.is_fork:  # that one ends with its fork server, which a frozen process (cgroup v1) would hold up
            with contextlib.suppress(ContainerError):  # one that goes on waits as well
                container.pause()
        return Ready(container, connection, key, line, pid, handle)
    except BaseException:
        if line is not None:
            line.close()
        if handle >= 0:
            os.close(handle)
        if container is not None:
            container.remove(force=True)
        connection.remove()
        raise


def _await_bound(container: Container, connection: ConnectionFolder) -> None:
    patience = time.monotonic() + PATIENCE
    while not connection.bound():
        if container.poll() is not None:
            last = container.logs(tail=1).strip()
            raise ContainerError(f"a kernel for the pool has ended: {container.state().cause} {last}".strip())
        if time.monotonic() > patience:
            raise ContainerError(f"a kernel for the pool has not bound its sockets within {PATIENCE:.0f} s")
        time.sleep(BIND_INTERVAL)


def _adapt(ready: Ready, order: Order) -> None:
    """Let it go on, with what differs from the one that it was started for."""
    container, wanted = ready.container, order.config
    container.resume()
    limits = {name: getattr(wanted, name) for name in LATE_LIMITS}
    changed = {name: value for name, value in limits.items() if value != getattr(container.config, name)}
    if changed:
        container.update(changed)
    late = order.late
    if late:
        code = late_code(order.language, late)
        reply = ready.line.ask("execute_request", _silently(code), timeout=PATIENCE)
        if reply.get("status") != "ok":
            raise ContainerError(f"it could not be told its notebook: {reply.get('ename', '')}")
    container.claim(labels=wanted.labels, start="fork" if order.is_fork else f"pool: {order.reason}", time=wanted.time)


def _silently(code: str) -> dict[str, Any]:
    """A request to execute *code* that no history and no count tells of."""
    return {"code": code, "silent": True, "store_history": False, "user_expressions": {}, "allow_stdin": False}


_pool = Pool()


def current_pool() -> Pool:
    """The one of this process."""
    return _pool


def _forget() -> None:
    """In a forked child: threads and kernels are its parent's."""
    global _pool
    _pool = Pool()


os.register_at_fork(after_in_child=_forget)
