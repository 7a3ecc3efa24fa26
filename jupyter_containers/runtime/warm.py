"""Warm starts: containers that are forks of a process which is ready.

For each kind of start (image, interpreter, environment, user, network, preloaded modules) this process may have one
fork server, a container of kind ``forkserver``, kept ready as :mod:`.ready` has it. It is started when a first one is
asked for; until it is ready, starts are fresh ones. Its forks live in its pid namespace and end with it, so it goes
only when it has none.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..errors import ContainerError, ContainersError, HostError
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
from .folder import Folder, create_folder
from .limits import sandbox_limits
from .ready import current_shelf
from .starting import Spawner
from .tally import Tally
from .usage import Source

__all__ = ["choose_spawner", "close_servers", "find_refusal"]

_ENDED = "the process to fork from has ended"
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
    """A fork server, from the wish for it to its end: an :class:`.ready.Item`."""

    def __init__(self, key: _Key, subject: tuple[str, str]) -> None:
        self.key, self.subject = key, subject
        self.server: ForkServer | None = None
        self.folder: Folder | None = None
        self.failed = ""
        self.settled = threading.Event()
        """It is ready, or has failed."""
        self.used = time.monotonic()
        self.closed = self.has_forked = False
        self.forks: list[Running] = []

    def count(self) -> int:
        return 0 if self.failed else 1

    def is_free(self) -> bool:
        self.forks = [fork for fork in self.forks if fork.poll() is None]
        return self.settled.is_set() and not self.forks

    def memory(self) -> int:
        server, folder = self.server, self.folder
        if server is None or folder is None or not self.settled.is_set():
            return 0
        sample = Source(folder.path, server.process.child_pid).sample(Tally())
        return 0 if sample is None else sample.memory

    def give_up(self, reason: str) -> None:
        self.failed = self.failed or reason  # what comes after the first follows from it
        self.close()

    def close(self) -> None:
        self.closed = True
        server, self.server = self.server, None
        if server is not None:
            with contextlib.suppress(ContainersError):
                server.close()


def close_servers() -> None:
    """End all that this process keeps ready, and the forks of its fork servers with them."""
    current_shelf().clear()


def find_refusal(config: ContainerConfig, image: str, paths: Paths) -> str:
    """Why a start with *config*, of the image with that digest, can't be a fork; empty: it can, as far as is known."""
    kept = current_shelf().find(_key(config, image, paths)) if config.warm is not None else None
    return kept.failed if isinstance(kept, _Kept) else ""


def _key(config: ContainerConfig, image: str, paths: Paths) -> _Key:
    assert config.warm is not None
    return _Key(str(paths.home), image, msgspec.structs.replace(config.warm, wait=False), _lasting(config.env),
                config.user, config.network)  # fmt: skip


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
    key = _key(config, image.digest, paths)
    if config.ahead:
        found = current_shelf().find(key)
        kept = found if isinstance(found, _Kept) else None
    else:
        kept = _find(key, config, image, paths, store, start)
    reason = _await(kept, wait=config.warm.wait or config.ahead)
    if reason and config.ahead:
        raise ContainerError(f"no fork can wait: {reason}")  # and nobody waits for a fresh one
    server = kept.server if kept is not None else None
    if kept is None or server is None or reason:
        return _Fresh(reason or _ENDED)
    kept.used = time.monotonic()
    return _Fork(kept, server, only=config.ahead)


def _await(kept: _Kept | None, *, wait: bool) -> str:
    """Why *kept* can't fork now; empty: it can."""
    if kept is None:
        return "there is no process to fork from"
    if wait:
        kept.settled.wait()
    if not kept.settled.is_set():
        return "the process to fork from is not ready yet"
    server = kept.server
    if kept.failed:
        return kept.failed
    if server is None or not server.alive:
        current_shelf().drop(kept.key, kept)  # the next start tries it again
        return _ENDED
    return ""


def _lasting(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in env.items() if not name.startswith(_VOLATILE)))


class _Fresh:
    """Hands on what :class:`.starting.Spawner` is called with, as the two below do."""

    def __init__(self, reason: str) -> None:
        self.outcome = f"fresh: {reason}"

    def __call__(self, sandbox: Sandbox, **options: Any) -> Running:
        return spawn(sandbox, **options)


class _Fork:
    def __init__(self, kept: _Kept, server: ForkServer, *, only: bool) -> None:
        self._kept, self._server, self._only = kept, server, only
        self.outcome = "fork"

    def __call__(self, sandbox: Sandbox, *, stdin: int, terminal: bool, **options: Any) -> Running:
        try:
            fork = self._server.fork(sandbox, **options)
        except HostError as error:
            if not self._kept.has_forked:
                self._kept.give_up(error.message)
            if self._only:
                raise
            instead = _Fresh(self._kept.failed or error.message)  # another may have found that out
            self.outcome = instead.outcome
            return instead(sandbox, stdin=stdin, terminal=terminal, **options)
        self._kept.used = time.monotonic()
        self._kept.has_forked = True
        self._kept.forks.append(fork)
        return fork


def _find(
    key: _Key, config: ContainerConfig, image: Image, paths: Paths, store: Store, start: Callable[..., Charge]
) -> _Kept:
    """The server of *key*; a new one is being started in a thread."""
    kept, is_new = current_shelf().place(key, lambda: _Kept(key, (config.image_name, image.digest)))
    if is_new:
        threading.Thread(
            target=_start, args=(kept, config, image, paths, store, start), name="container-fork-server", daemon=True
        ).start()
    return kept


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
        kept.folder = folder = create_folder(paths.containers, own)
        start(
            folder, folder.config(), image, paths=paths, store=store, stdin=None, stdout=None, stderr=None,
            spawner=_Server(kept, warm),
        )  # fmt: skip
        assert kept.server is not None
        kept.server.await_ready()
    except ContainersError as error:
        kept.give_up(error.message)
    finally:
        kept.settled.set()
    if kept.closed:
        kept.close()  # it was not wanted any more before it was there
    current_shelf().weigh()


class _Server:
    """Spawns the fork server itself."""

    def __init__(self, kept: _Kept, warm: Warm) -> None:
        self._kept, self._warm = kept, warm

    def __call__(self, sandbox: Sandbox, *, stdin: int, terminal: bool, **options: Any) -> Running:
        warm = self._warm
        self._kept.server = server = ForkServer.spawn(sandbox, warm.python, warm.module, warm.words, **options)
        return server.process
