"""What one step says: lines of output, progress, and the error that ends it."""

from __future__ import annotations

import errno
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BuildError, CancelledError, ContainersError, OutOfSpaceError
from .monitor import Event, Monitor, Phase

__all__ = ["Reporter", "Waiting", "check_cancelled", "explain", "told_endings"]

_KEPT_LINES = 30
_LONGEST_LINE = 2000
_PROGRESS_INTERVAL = 0.05  # seconds between two progress events of one kind


class Reporter:
    """Turns what a step does into events, and keeps the last lines for its error. Safe to use from any thread."""

    def __init__(self, monitor: Monitor, *, title: str = "", step_id: str = "", log: str = "") -> None:
        self._monitor = monitor
        self.title = title
        self.step_id = step_id
        self.log = log
        self._tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._rest = b""
        self._guard = threading.Lock()
        self._last: dict[str, float] = {}

    def started(self, phase: Phase) -> None:
        self._send(Event(kind="step", phase=phase, step=self.title, step_id=self.step_id))

    def finished(self) -> None:
        self._send(Event(kind="step", phase="done", step=self.title, step_id=self.step_id))

    def cached(self) -> None:
        self._send(Event(kind="step", phase="done", cached=True, step=self.title, step_id=self.step_id))

    def phase(self, phase: Phase, text: str = "") -> None:
        self._send(Event(kind="phase", phase=phase, step=self.title, step_id=self.step_id, text=text))

    def say(self, text: str) -> None:
        """One line of our own among the output."""
        self._send(Event(kind="output", step=self.title, step_id=self.step_id, text=text))

    def progress(self, phase: Phase, unit: str = "items") -> Callable[[str, int, int], None]:
        """A callback for :data:`~.monitor.Progress` that passes on what a person can still follow."""

        def report(what: str, done: int, total: int) -> None:
            now = time.monotonic()
            ended = total > 0 and done >= total
            if not ended and now - self._last.get(what, 0.0) < _PROGRESS_INTERVAL:
                return
            self._last[what] = now
            self._send(
                Event(
                    kind="progress", phase=phase, step=self.title, step_id=self.step_id, text=what,
                    done=done, total=total, unit="bytes" if unit == "bytes" else "items",
                )
            )  # fmt: skip

        return report

    def output(self, chunk: bytes) -> None:
        """Bytes as a program writes them; each line becomes an event, a line over 2000 bytes several."""
        with self._guard:
            *lines, self._rest = re.split(rb"\r?\n|\r", self._rest + chunk)
            while len(self._rest) > _LONGEST_LINE:
                lines.append(self._rest[:_LONGEST_LINE])
                self._rest = self._rest[_LONGEST_LINE:]
        for line in lines:
            self._line(line)

    def flush(self) -> None:
        """The program ended: what it wrote last had no line end."""
        with self._guard:
            rest, self._rest = self._rest, b""
        if rest:
            self._line(rest)

    @property
    def tail(self) -> str:
        return "\n".join(self._tail)

    def failure(self, command: str, exit_code: int, *, note: str = "") -> ContainersError:
        """The error for a *command* of this step that ended with *exit_code* (as shells have it)."""
        ending = f"was ended by signal {exit_code - 128}" if exit_code > 128 else f"failed with exit status {exit_code}"
        hint = explain(self.tail, exit_code) or "correct it, and build again: the steps before it are kept"
        shown = command if len(command) <= 200 else command[:200] + " …"
        message = f"step {self.title!r}: `{shown}` {note or ending}"
        if self.tail:
            message += "\n" + "\n".join(f"  | {line}" for line in list(self._tail)[-15:])
        if self.log:
            message += f"\n  log: {self.log} (`jupyter containers logs {Path(self.log).parent.name}` prints it)"
        if "no space left on device" in self.tail.lower():
            return OutOfSpaceError(
                message, hint="free disk space (`jupyter containers prune` removes what nothing uses)"
            )
        return BuildError(message, step=self.title, output=self.tail, log=self.log, hint=hint)

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if not text:
            return
        self._tail.append(text)
        self.say(text)

    def _send(self, event: Event) -> None:
        self._monitor(event)


_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"(unable to execute|command|error: command) '?(x86_64-linux-gnu-)?(gcc|g\+\+|cc|c\+\+)|"
        r"(gcc|g\+\+|cc): (command )?not found|No such file or directory: '[^' ]*(gcc|cc|g\+\+|c\+\+)'|"
        r"Unknown compiler|no acceptable C compiler",
        "a compiler is needed: add build-essential and python3-dev to packages.apt, or take a version that has a wheel",
    ),
    (r"fatal error: Python\.h", "Python's headers are needed: add python3-dev to packages.apt"),
    (r"fatal error: (\S+\.h)", "a header is missing: add the -dev package that has it to packages.apt"),
    (r"git: (command )?not found|'git': No such file|Git executable not found", "add git to packages.apt"),
    (r"(cargo|rustc)\S*: (command )?not found", "a Rust compiler is needed: add cargo to packages.apt"),
    (
        r"Temporary failure (in name resolution|resolving)|Could not resolv|"
        r"Name or service not known|Network is unreachable|dns error",
        "the network did not answer: check the connection of this host, or its proxy settings",
    ),
    (r"404\s+Not Found", "the archive has moved on: run `jupyter containers lock --upgrade`"),
    (
        r"Unmet dependencies|unmet dependencies|held broken packages|but it is not (going to be )?install(ed|able)",
        "the lock does not fit together: run `jupyter containers lock --upgrade`",
    ),
    (r"Killed|MemoryError|Cannot allocate memory", "the step ran out of memory"),
    (r"externally-managed-environment", "install Python packages through packages.pip, or with /opt/venv/bin/pip"),
)


def explain(output: str, exit_code: int) -> str:
    """The next step for a failure whose last lines are *output*; empty where the lines must speak for themselves."""
    for pattern, hint in _CAUSES:
        if re.search(pattern, output):
            return hint
    if exit_code == 127:
        return "a command was not found: add the package that has it to packages.apt"
    if exit_code in {126}:
        return "a file is not executable, or not a program for this architecture"
    if exit_code == 137:
        return "it was killed, most likely for lack of memory"
    return ""


def check_cancelled(cancel: threading.Event | None) -> None:
    """:class:`CancelledError` where the user has asked to stop."""
    if cancel is not None and cancel.is_set():
        raise CancelledError("the build was cancelled", hint="build again to go on: finished steps are kept")


@contextmanager
def told_endings(cancel: threading.Event, store: Path) -> Iterator[None]:
    """Around a whole build: Ctrl-C stops its threads (*cancel*) and is a :class:`CancelledError`; a full disk, where
    *store* is, an :class:`OutOfSpaceError`."""
    try:
        yield
    except KeyboardInterrupt:
        cancel.set()
        raise CancelledError("the build was cancelled", hint="build again to go on: finished steps are kept") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutOfSpaceError(
                f"no space left in {store}", hint="free disk space (`jupyter containers prune`), and build again"
            ) from error
        raise


class Waiting:
    """Says once that another process builds the step at hand, and stops waiting when the user has had enough."""

    def __init__(self, reporter: Reporter, cancel: threading.Event) -> None:
        self._reporter = reporter
        self._cancel = cancel
        self.told = False

    def __call__(self, pid: int) -> None:
        """As :meth:`~..image.store.Store.lock_step` calls it: *pid* is the other's, 0 where it is not known."""
        check_cancelled(self._cancel)
        if not self.told:
            self._reporter.phase("waiting", f"process {pid or '?'} is building this step")
            self.told = True
