"""Warm starts: containers that are forks of a process which is ready.

For each kind of start (image, interpreter, environment, user, network, preloaded modules) this process may have one
fork server, a container of kind ``forkserver``. It is started when a first one is asked for; until it is ready, starts
are fresh ones. Its forks live in its pid namespace and end with it, so it goes only when it has none: one that was not
used for a while, or the oldest where there are too many.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..errors import ContainersError, HostError
from ..image.model import Image
from ..image.store import Store
from ..paths import Paths
from ..sandbox.cgroup import find_facts
from ..sandbox.fork.owner import ForkServer
from ..sandbox.life import Running
from ..sandbox.model import Sandbox
from ..sandbox.process import spawn
from .base import ContainerConfig, Stdio, Warm
from .charge import Charge
from .folder import create_folder
from .limits import sandbox_limits
from .starting import Spawner

__all__ = ["choose_spawner", "close_servers"]

MOST = 8
"""Fork servers of one process: each holds the memory of a kernel that has imported its modules."""
IDLE = 900.0
"""Seconds after which one that has no fork, and has made none, goes."""

_VOLATILE = ("JPY_",)
"""Variables that differ from kernel to kernel, and that no interpreter reads when it starts."""


class _Key(msgspec.Struct, frozen=True):
    home: str
    image: str
    warm: Warm
    env: tuple[tuple[str, str], ...]
    user: str
    network: str


class _Kept:
    """A fork server, from the wish for it to its end."""

    def __init__(self) -> None:
        self.server: ForkServer | None = None
        self.failed = ""
        self.settled = threading.Event()
        """It is ready, or has failed."""
        self.used = time.monotonic()
        self.forks: list[Running] = []

    def is_free(self) -> bool:
        self.forks = [fork for fork in self.forks if fork.poll() is None]
        return self.settled.is_set() and not self.forks

    def close(self) -> None:
        if self.server is not None:
            with contextlib.suppress(ContainersError):
                self.server.close()


_servers: dict[_Key, _Kept] = {}
_guard = threading.Lock()


def _forget() -> None:
    """In a forked child: the servers are its parent's."""
    global _guard
    _guard = threading.Lock()
    _servers.clear()


os.register_at_fork(after_in_child=_forget)


def close_servers() -> None:
    """End all fork servers of this process, and with them their forks."""
    with _guard:
        kept = list(_servers.values())
        _servers.clear()
    for each in kept:
        each.close()


def choose_spawner(
    config: ContainerConfig,
    image: Image,
    paths: Paths,
    store: Store,
    *,
    streams: tuple[Stdio, Stdio, Stdio],
    start: Callable[..., Charge],
) -> Spawner:
    """What starts a container with ``config.warm``: a fork where one can be had now, else a fresh start.

    *start*: :func:`.owned.start_owned`, for the fork server itself.
    """
    assert config.warm is not None
    if streams[0] is not None or config.tty:
        return _Fresh("it has a standard input of its own")
    key = _Key(str(paths.home), image.digest, msgspec.structs.replace(config.warm, wait=False),
               _lasting(config.env), config.user, config.network)  # fmt: skip
    kept = _find(key, config, image, paths, store, start)
    if config.warm.wait:
        kept.settled.wait()
    if not kept.settled.is_set():
        return _Fresh("the process to fork from is not ready yet")
    if kept.server is None or not kept.server.alive:
        with _guard:
            if _servers.get(key) is kept:
                del _servers[key]  # the next start tries it again
        return _Fresh(kept.failed or "the process to fork from has ended")
    return _Fork(kept, kept.server)


def _lasting(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in env.items() if not name.startswith(_VOLATILE)))


class _Fresh:
    """Hands on what :class:`.starting.Spawner` is called with, as the two below do."""

    def __init__(self, reason: str) -> None:
        self.outcome = f"fresh: {reason}"

    def __call__(self, sandbox: Sandbox, **options: Any) -> Running:
        return spawn(sandbox, **options)


class _Fork:
    def __init__(self, kept: _Kept, server: ForkServer) -> None:
        self._kept, self._server = kept, server
        self.outcome = "fork"

    def __call__(self, sandbox: Sandbox, *, stdin: int, terminal: bool, **options: Any) -> Running:
        try:
            fork = self._server.fork(sandbox, **options)
        except HostError as error:
            instead = _Fresh(error.message)
            self.outcome = instead.outcome
            return instead(sandbox, stdin=stdin, terminal=terminal, **options)
        self._kept.used = time.monotonic()
        self._kept.forks.append(fork)
        return fork


def _find(
    key: _Key, config: ContainerConfig, image: Image, paths: Paths, store: Store, start: Callable[..., Charge]
) -> _Kept:
    """The server of *key*; a new one is being started in a thread."""
    with _guard:
        kept = _servers.get(key)
        if kept is not None:
            kept.used = time.monotonic()
            return kept
        leaving = _pick_leaving()
        kept = _servers[key] = _Kept()
    for each in leaving:
        each.close()
    threading.Thread(
        target=_start, args=(kept, config, image, paths, store, start), name="container-fork-server", daemon=True
    ).start()
    return kept


def _pick_leaving() -> list[_Kept]:
    """Take those out that are to go: idle too long, and the oldest free ones where there would be too many."""
    now = time.monotonic()
    free = sorted((pair for pair in _servers.items() if pair[1].is_free()), key=lambda pair: pair[1].used)
    surplus = len(_servers) + 1 - MOST
    leaving = [pair for number, pair in enumerate(free) if number < surplus or now - pair[1].used > IDLE]
    for key, _ in leaving:
        del _servers[key]
    return [kept for _, kept in leaving]


def _start(
    kept: _Kept, config: ContainerConfig, image: Image, paths: Paths, store: Store, start: Callable[..., Charge]
) -> None:
    warm = config.warm
    assert warm is not None
    own = ContainerConfig(
        image=image.digest, image_name=config.image_name, argv=(warm.python,), env=dict(_lasting(config.env)),
        user=config.user, network=config.network, remove=True, die_with_parent=True, kind="forkserver",
    )  # fmt: skip
    try:
        find_facts(sandbox_limits(config))  # where systemd has a word, it is asked before the server has its place
        folder = create_folder(paths.containers, own)
        start(
            folder, folder.config(), image, paths=paths, store=store, stdin=None, stdout=None, stderr=None,
            spawner=_Server(kept, warm),
        )  # fmt: skip
        assert kept.server is not None
        kept.server.await_ready()
    except ContainersError as error:
        kept.failed = error.message
        kept.close()
        kept.server = None
    finally:
        kept.settled.set()


class _Server:
    """Spawns the fork server itself."""

    def __init__(self, kept: _Kept, warm: Warm) -> None:
        self._kept, self._warm = kept, warm

    def __call__(self, sandbox: Sandbox, *, stdin: int, terminal: bool, **options: Any) -> Running:
        warm = self._warm
        self._kept.server = server = ForkServer.spawn(sandbox, warm.python, warm.module, warm.words, **options)
        return server.process
