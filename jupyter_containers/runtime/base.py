"""The seam between this program and whatever runs containers: the Runtime and Container protocols.

``kernels/``, ``cli/`` and ``server/`` know these and nothing of a particular runtime.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, Self

import msgspec

from ..image.progress import Progress, quiet

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ..spec.model import Resources
    from .places import Place
    from .snapshot import Snapshot

__all__ = [
    "BindMount",
    "Change",
    "Container",
    "ContainerConfig",
    "ContainerState",
    "LimitReport",
    "LogPage",
    "Meter",
    "Runtime",
    "Stats",
    "Stdio",
    "Warm",
]

Stdio = int | None
"""A file descriptor to inherit, or None: the container's log file (standard input: /dev/null)."""


class BindMount(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    """Absolute path on the host, which exists."""
    target: str
    mode: Literal["ro", "rw"] = "ro"


class Warm(msgspec.Struct, frozen=True, kw_only=True):
    """How to start as a fork of a process that is ready; what can't be forked is started afresh, and that is said."""

    python: str
    """The image's interpreter, 3.11 or newer."""
    module: str
    """Of this package, with ``prepare(words)`` for the process that is to be ready and ``become(argv)`` for a fork."""
    words: tuple[str, ...] = ()
    wait: bool = False
    """Wait for the first one to be ready; else what comes until then is started afresh."""


class ContainerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that a container is created from; kept as ``config.json`` in its folder."""

    image: str
    """Digest of an image in the store."""
    image_name: str = ""
    """As the user asked for it: environment or reference."""
    argv: tuple[str, ...]
    name: str = ""
    """Empty: two words are made up."""
    env: dict[str, str] = {}
    """On top of the image's Env."""
    cwd: str = ""
    """Empty: the image's WorkingDir, else the user's home in the container."""
    user: str = ""
    """A user of the image's, ``name``, ``uid`` or with ``:group``; empty: the image's own, which is root where it names
    none. ``jovyan`` is in every image. Whoever it is inside, outside it is the caller's unprivileged id."""
    hostname: str = ""
    mounts: tuple[BindMount, ...] = ()
    layers: tuple[str, ...] = ()
    """diff_ids of layers of the store that are among the mounts: no collector takes them while it runs."""
    network: Literal["none", "full"] = "none"
    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    disk: int | None = None
    gpus: int | None = None
    files: int | None = None
    """Files that each process may have open at once."""
    time: int | None = None
    """Seconds from a start after which it is ended."""
    maximum: dict[str, float] = {}
    """What the administrator allows it at most, by limit, for whoever changes a limit while it runs."""
    accept_unenforced: tuple[str, ...] = ()
    """Names of limits (``memory``, ``cpus`` …) that may go unenforced where the host can't; others refuse."""
    tty: bool = False
    remove: bool = False
    """Remove the container's folder when it ends."""
    die_with_parent: bool = False
    outlive: int = 0
    """Of one that does not die with its parent: seconds that it goes on once its owner (:mod:`.ownership`) has ended;
    0: for good."""
    scratch: tuple[str, ...] = ()
    """Host folders below the runtime folder that belong to the container (its sockets, its connection file): removed
    with it, and by the reaper when its owner is killed."""
    ahead: bool = False
    """It is started before anybody needs it, and nobody's until it is claimed (:meth:`Container.claim`): not among the
    running ones; with ``outlive``, that counts from then on."""
    read_only_system: bool = True
    """/usr and other system folders read-only, where the layers allow it."""
    kind: Literal["command", "kernel", "forkserver"] = "command"
    warm: Warm | None = None
    why_fresh: str = ""
    """Where a warm start was asked for, and it is known before that there can be none."""
    labels: dict[str, str] = {}


class LimitReport(msgspec.Struct, frozen=True, kw_only=True):
    limit: str
    """``memory``, ``cpus``, ``pids``, ``disk``, ``gpus``, ``files``, ``time``."""
    asked: float
    enforced_by: str = ""
    """``cgroup v2``, ``cgroup v1``, ``rlimit`` …; empty: by nothing."""
    note: str = ""


class ContainerState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a container now."""

    id: str
    """12 hexadecimal digits."""
    name: str
    image: str
    image_name: str
    kind: str
    argv: tuple[str, ...]
    status: Literal["created", "running", "paused", "exited"]
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    pid: int | None = None
    """Of the container's first process, in the host's numbering; None: it does not run, or runs on another host."""
    exit_code: int | None = None
    """128 + n where signal n ended it, as shells have it."""
    cause: str = ""
    """Why it ended, in words: ``out of memory (limit 512 MiB, peak 512 MiB)``, ``killed by SIGKILL`` …"""
    oom: bool = False
    """It was killed because its control group had reached its limit of memory."""
    memory_limit: int | None = None
    """Bytes, as the control group had it at the end."""
    memory_peak: int | None = None
    limits: tuple[LimitReport, ...] = ()
    start: str = ""
    """Where a warm start was asked for: ``fork``, or ``pool: `` or ``fresh: `` and why it is not the one before."""
    labels: dict[str, str] = {}


class Stats(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: str
    name: str
    cpu_seconds: float
    cpu_percent: float
    """Since the sample before; 100 is one CPU."""
    memory: int
    """Bytes: of the control group where there is one, else the sum of the processes' PSS or RSS."""
    memory_limit: int | None
    memory_peak: int | None
    pids: int
    read_bytes: int
    write_bytes: int
    received_bytes: int | None = None
    """Over its network; None: it uses the host's, which counts for all together."""
    sent_bytes: int | None = None
    uptime: float = 0.0
    """Seconds since its start."""
    last_activity: float | None = None
    """When the kernel last said something, in seconds since the epoch; None: nobody who knows has told."""


class LogPage(msgspec.Struct, frozen=True):
    """Some of a container's output."""

    data: bytes
    position: str
    """Where to go on after it."""
    ended: bool
    """Nothing more will come."""

    @property
    def has_news(self) -> bool:
        return bool(self.data)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between a container and its image."""

    kind: Literal["A", "C", "D"]
    path: str


class Container(Protocol):
    """One container. Methods may be called from any thread unless they say otherwise."""

    id: str
    config: ContainerConfig

    def state(self) -> ContainerState: ...

    def start(self, *, stdin: Stdio = None, stdout: Stdio = None, stderr: Stdio = None) -> None:
        """Start it; returns once its process runs. With ``die_with_parent`` call it from a thread that stays.

        Raises :class:`~jupyter_containers.errors.ContainerError` or
        :class:`~jupyter_containers.errors.LimitError`; nothing is left running then.
        """

    def claim(self, *, labels: Mapping[str, str], start: str, time: int | None = None) -> None:
        """Of one that was started ahead: from now on it is a container like others, with *labels* beside its own, and
        *time* seconds to run. :class:`~jupyter_containers.errors.ContainerError` where it has ended."""

    def poll(self) -> int | None:
        """The exit code once it has ended, else None. Never blocks."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; :class:`TimeoutError` after *timeout* seconds."""

    def pause(self) -> None:
        """Stop all its processes, which keep what they hold; its status is ``paused`` then. Again: nothing.

        :class:`~jupyter_containers.errors.ContainerError` where it does not run, or does not come to a standstill.
        """

    def resume(self) -> bool:
        """Have it go on; False where it was not paused. A signal, :meth:`stop` and :meth:`kill` do this first."""

    def update(self, limits: Mapping[str, float]) -> None:
        """Change *limits* (``memory`` in bytes, ``cpus``, ``pids``) while it runs; the next start has the old ones.

        :class:`~jupyter_containers.errors.LimitError` where this host can't, and for memory that is in use;
        :class:`~jupyter_containers.errors.InputError` for more than ``config.maximum``. Nothing is changed then.
        """

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process (and to its process group, as a terminal would)."""

    def stop(self, *, grace: float = 10.0) -> int:
        """SIGTERM (or the image's StopSignal), after *grace* seconds SIGKILL; returns the exit code."""

    def kill(self) -> None:
        """SIGKILL to every process in it; returns when all are gone."""

    def remove(self, *, force: bool = False) -> None:
        """Remove its folder, writable layer, control group and sockets; running ones only with *force*."""

    def exec_argv(
        self, argv: Sequence[str], *, env: dict[str, str] | None = None, cwd: str = "", tty: bool = False
    ) -> list[str]:
        """A host argument vector, to be started once, that runs *argv* in the running container with its rights.

        With *tty* it stays in the caller's session, whose controlling terminal it then has.
        """

    def changes(self) -> tuple[Change, ...]:
        """How its files differ from its image's, by path; what is mounted is not looked at."""

    def copy_changes(self, target: Path, *, progress: Progress = quiet) -> Snapshot:
        """Copy them into the empty folder *target*, in the form of an overlay's upper folder; see :mod:`.snapshot`.

        A running container stands still meanwhile. Raises :class:`~jupyter_containers.errors.ContainerError` where it
        does not, and what :func:`.snapshot.copy_changes` does.
        """

    def open_root(self) -> AbstractContextManager[Place]:
        """Its root, to read and make files in (see :mod:`.copying`): what it sees while it runs, with all mounts; at
        rest, when it can't be started meanwhile, its own files."""

    def logs(self, *, tail: int | None = None) -> str: ...

    def read_log(self, position: str = "") -> LogPage:
        """The output after *position* (empty, or of an earlier page) that is there now; does not wait."""

    def stats(self) -> Stats: ...

    def note_activity(self, at: float) -> None:
        """Its kernel was active *at* that time (seconds since the epoch): :meth:`stats` tells it to everyone."""


class Meter(Protocol):
    """Measures containers again and again, for less than each by itself. Use it as a context, or :meth:`close` it."""

    def read(self, states: Iterable[ContainerState]) -> list[Stats]:
        """Of those of *states* that run, in their order; the share of the CPU is that since the last time, and those
        that are not among them any more are forgotten. From any thread."""

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...


class Runtime(Protocol):
    name: str

    def expect_start(self) -> None:
        """A container will be started soon: what can be done ahead is done, beside what the caller does. Optional."""

    def create(self, config: ContainerConfig) -> Container:
        """Make the container's folder; nothing runs yet. NotFoundError for the image, ConflictError for the name."""

    def find(self, reference: str) -> Container:
        """By id, unambiguous id prefix, or name; NotFoundError."""

    def list(self, *, all: bool = False) -> tuple[ContainerState, ...]:
        """Running ones, or all, newest first."""

    def meter(self) -> Meter:
        """A new one."""

    def check_limits(self, limits: Resources, *, accept: Collection[str] = ()) -> None:
        """:class:`~jupyter_containers.errors.LimitError` for a limit that can't be enforced here and that *accept* does
        not name: what :meth:`Container.start` would say, before an image is made for it."""

    def refuses_fork(self, config: ContainerConfig) -> str:
        """Why a start with ``config.warm`` can't be a fork; empty: it can, as far as is known."""

    def reap(self) -> tuple[str, ...]:
        """Remove what crashed owners left: containers without their process, groups, sockets. Returns the ids."""
