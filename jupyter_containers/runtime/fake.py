"""A runtime that runs nothing: containers as values in memory, for tests of what stands on the protocols.

::

    runtime = FakeRuntime(images={"sha256:…"})
    container = runtime.create(ContainerConfig(image="sha256:…", argv=("true",)))
    container.start()
    container.finish(0)              # or: FakeRuntime(program=lambda container: 0) ends every start at once
    assert runtime.containers[0].signals == []
"""

from __future__ import annotations

import itertools
import signal as signals_of_the_host
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Self

import msgspec

from ..errors import ConflictError, ContainerError, LimitError, NotFoundError
from ..image.progress import Progress, quiet
from ..spec.model import Resources
from .adjusting import check_maximum
from .base import Change, ContainerConfig, ContainerState, LimitReport, LogPage, Stats, Stdio
from .names import make_name
from .places import Place
from .snapshot import Snapshot

__all__ = ["FakeContainer", "FakeMeter", "FakeRuntime", "Program"]

_LIMITS = ("memory", "cpus", "pids", "disk", "gpus", "files", "time")


class FakeContainer:
    """A container whose life the test writes: :meth:`finish`, :attr:`output`, :attr:`signals`."""

    def __init__(self, runtime: FakeRuntime, id: str, config: ContainerConfig) -> None:
        self.id = id
        self.config = config
        self.signals: list[int] = []
        """Every signal that was sent, in order."""
        self.output = ""
        """What :meth:`logs` answers."""
        self.difference: tuple[Change, ...] = ()
        """What :meth:`changes` answers."""
        self.files: dict[str, bytes] = {}
        """What :meth:`copy_changes` copies, by path."""
        self.active_at: float | None = None
        self.stdio: tuple[Stdio, Stdio, Stdio] | None = None
        self.ends_at: frozenset[int] = frozenset(
            {signals_of_the_host.SIGTERM, signals_of_the_host.SIGKILL, signals_of_the_host.SIGHUP}
        )
        """Signals that end it; take SIGTERM out to make a container that only SIGKILL ends."""
        self._runtime = runtime
        self._ended = threading.Event()
        limits = tuple(
            LimitReport(limit=name, asked=float(asked), enforced_by="fake")
            for name in _LIMITS
            if (asked := getattr(config, name)) is not None
        )
        self._state = ContainerState(
            id=id, name=config.name, image=config.image, image_name=config.image_name, kind=config.kind,
            argv=config.argv, status="created", created_at=time.time(), limits=limits, labels=config.labels,
        )  # fmt: skip

    def finish(self, exit_code: int, *, cause: str = "", output: str = "", oom: int | None = None) -> None:
        """End it, as its process would; *oom*: killed for memory, of which it had so many bytes at most."""
        self.output += output
        cause = cause or (f"exit code {exit_code}" if exit_code < 128 else f"killed by signal {exit_code - 128}")
        self._state = msgspec.structs.replace(
            self._state, status="exited", ended_at=time.time(), pid=None, exit_code=exit_code, cause=cause,
            oom=oom is not None, memory_limit=self.config.memory, memory_peak=oom,
        )  # fmt: skip
        self._ended.set()
        if self.config.remove:
            self._runtime._forget(self)

    def state(self) -> ContainerState:
        return self._state

    def start(self, *, stdin: Stdio = None, stdout: Stdio = None, stderr: Stdio = None) -> None:
        if self._is_running():
            raise ConflictError(f"container {self.config.name} runs already")
        if self._runtime.start_error is not None:
            raise self._runtime.start_error
        self.stdio = (stdin, stdout, stderr)
        self._ended.clear()
        self._state = msgspec.structs.replace(
            self._state, status="running", started_at=time.time(), ended_at=None, exit_code=None, cause="",
            oom=False, memory_limit=None, memory_peak=None,
            pid=next(self._runtime._pids),
        )  # fmt: skip
        code = self._runtime.program(self) if self._runtime.program else None
        if code is not None:
            self.finish(code)

    def claim(self, *, labels: Mapping[str, str], start: str, time: int | None = None) -> None:
        self._need_running()
        self._state = msgspec.structs.replace(
            self._state, kind=self.config.kind, labels={**self._state.labels, **labels}, start=start
        )

    def poll(self) -> int | None:
        return self._state.exit_code

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise TimeoutError(f"container {self.config.name} runs still after {timeout} s")
        assert self._state.exit_code is not None
        return self._state.exit_code

    def pause(self) -> None:
        self._need_running()
        self._state = msgspec.structs.replace(self._state, status="paused")

    def resume(self) -> bool:
        was_paused = self._state.status == "paused"
        if was_paused:
            self._state = msgspec.structs.replace(self._state, status="running")
        return was_paused

    def update(self, limits: Mapping[str, float]) -> None:
        self._need_running()
        check_maximum(limits, self.config.maximum)
        refused = sorted(self._runtime.unenforceable & limits.keys())
        if refused:
            raise LimitError(f"{', '.join(refused)} can't be changed while it runs")
        kept = tuple(row for row in self._state.limits if row.limit not in limits)
        new = tuple(LimitReport(limit=name, asked=value, enforced_by="fake") for name, value in limits.items())
        self._state = msgspec.structs.replace(self._state, limits=kept + new)

    def signal(self, number: int) -> None:
        self._need_running()
        self.resume()
        self.signals.append(int(number))
        if number in self.ends_at:
            self.finish(128 + int(number))

    def stop(self, *, grace: float = 10.0) -> int:
        if self._is_running():
            self.signal(signals_of_the_host.SIGTERM)
        if self._is_running():
            self.kill()
        return self.wait(0)

    def kill(self) -> None:
        if self._is_running():
            self.signals.append(int(signals_of_the_host.SIGKILL))
            self.finish(128 + signals_of_the_host.SIGKILL)

    def remove(self, *, force: bool = False) -> None:
        if self._is_running() and not force:
            raise ConflictError(f"container {self.config.name} runs", hint="stop it first, or force the removal")
        self.kill()
        self._runtime._forget(self)

    def exec_argv(
        self, argv: Sequence[str], *, env: dict[str, str] | None = None, cwd: str = "", tty: bool = False
    ) -> list[str]:
        self._need_running()
        return ["env", *(f"{key}={value}" for key, value in (env or {}).items()), *argv]

    def changes(self) -> tuple[Change, ...]:
        return self.difference

    def copy_changes(self, target: Path, *, progress: Progress = quiet) -> Snapshot:
        """:attr:`files`, as files of *target*."""
        for path, content in self.files.items():
            file = target / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return Snapshot(entries=len(self.files), size=sum(map(len, self.files.values())))

    def open_root(self) -> AbstractContextManager[Place]:
        raise ContainerError(f"container {self.config.name} has no files")

    def logs(self, *, tail: int | None = None) -> str:
        lines = self.output.splitlines(keepends=True)
        return "".join(lines if tail is None else lines[max(len(lines) - tail, 0) :])

    def read_log(self, position: str = "") -> LogPage:
        ended = self._state.status == "exited"
        data = self.output.encode()[int(position or 0) :]
        return LogPage(data, str(int(position or 0) + len(data)), ended and not data)

    def stats(self) -> Stats:
        self._need_running()
        over_network = None if self.config.network == "full" else 0
        return Stats(
            id=self.id, name=self.config.name, cpu_seconds=0.0, cpu_percent=0.0, memory=1 << 20,
            memory_limit=self.config.memory, memory_peak=1 << 20, pids=1, read_bytes=0, write_bytes=0,
            received_bytes=over_network, sent_bytes=over_network,
            uptime=time.time() - (self._state.started_at or self._state.created_at), last_activity=self.active_at,
        )  # fmt: skip

    def note_activity(self, at: float) -> None:
        self.active_at = at

    def _is_running(self) -> bool:
        return self._state.status in ("running", "paused")

    def _need_running(self) -> None:
        if not self._is_running():
            raise ContainerError(f"container {self.config.name} is not running")


Program = Callable[[FakeContainer], "int | None"]


class FakeMeter:
    """Asks each container by itself."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self._runtime = runtime

    def read(self, states: Iterable[ContainerState]) -> list[Stats]:
        found = []
        for state in states:
            with suppress(NotFoundError, ContainerError):
                found.append(self._runtime.find(state.id).stats())
        return found

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None: ...


class FakeRuntime:
    """See the module's text.

    *images*: the digests that exist; None: every one does. *program* runs at each start, in the starter's thread:
    an exit code ends the container at once, None lets it run.
    """

    name = "fake"

    def __init__(self, *, images: Collection[str] | None = None, program: Program | None = None) -> None:
        self.images = images
        self.program = program
        self.no_forks = ""
        """What :meth:`refuses_fork` answers."""
        self.unenforceable: set[str] = set()
        """Names of limits that this host is to have no means for."""
        self.start_error: Exception | None = None
        """Raised by every start while set."""
        self.containers: list[FakeContainer] = []
        """Those that exist, oldest first."""
        self.removed: list[FakeContainer] = []
        self._lock = threading.Lock()
        self._pids = itertools.count(100_000_000)  # past every pid that a kernel gives out

    def create(self, config: ContainerConfig) -> FakeContainer:
        if self.images is not None and config.image not in self.images:
            raise NotFoundError(f"no image {config.image} in the store")
        with self._lock:
            names = {item.config.name for item in self.containers}
            if config.name in names:
                raise ConflictError(f"a container is named {config.name!r} already")
            named = msgspec.structs.replace(config, name=config.name or make_name(names.__contains__))
            id = f"{len(self.containers) + len(self.removed) + 1:012x}"
            self.containers.append(FakeContainer(self, id, named))
            return self.containers[-1]

    def find(self, reference: str) -> FakeContainer:
        named = [item for item in self.containers if reference in (item.id, item.config.name)]
        found = named or [item for item in self.containers if reference and item.id.startswith(reference)]
        if len(found) != 1:
            raise NotFoundError(f"{'no' if not found else 'more than one'} container {reference!r}")
        return found[0]

    def list(self, *, all: bool = False) -> tuple[ContainerState, ...]:
        states = (item.state() for item in reversed(self.containers))
        return tuple(state for state in states if all or state.status in ("running", "paused"))

    def meter(self) -> FakeMeter:
        return FakeMeter(self)

    def check_limits(self, limits: Resources, *, accept: Collection[str] = ()) -> None:
        refused = [name for name in sorted(self.unenforceable - set(accept)) if getattr(limits, name) is not None]
        if refused:
            raise LimitError(f"this host can't enforce {', '.join(refused)}")

    def expect_start(self) -> None:
        pass

    def refuses_fork(self, config: ContainerConfig) -> str:
        return self.no_forks

    def reap(self) -> tuple[str, ...]:
        return ()

    def _forget(self, container: FakeContainer) -> None:
        with self._lock:
            if container in self.containers:
                self.containers.remove(container)
                self.removed.append(container)
