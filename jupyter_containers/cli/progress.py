"""Waits made visible: builds and transfers, as moving lines on a terminal and as plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from ..build.monitor import Event
from ..jobs import Control
from .output import printable

__all__ = ["BuildProgress", "Transfer"]


class _Shown:
    """What owns bars from ``with`` to its end."""

    def __init__(self) -> None:
        self._bars = _Bars()

    def __enter__(self) -> Self:
        self._bars.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()


class Transfer(_Shown):
    """The ``Progress`` callback of ``lock/``: what, done, total."""

    def __call__(self, what: str, done: int, total: int) -> None:
        self._bars.update(what, done, total)

    def say(self, text: str) -> None:
        """A line that stays: a warning."""
        self._bars.say(printable(text))


class JobProgress(_Shown):
    """Work that tells its progress as a job does: ``with`` gives its control. Ctrl-C ends it."""

    def __enter__(self) -> Control:  # type: ignore[override]
        super().__enter__()
        return Control(self._change)

    def _change(self, *, phase: str = "", percent: float | None = None, note: str = "") -> None:
        if note:
            self._bars.say(printable(note))
        elif phase:
            self._bars.update(phase, int(percent or 0), 100 if percent is not None else 0)


class BuildProgress(_Shown):
    """A build's monitor on a terminal: a line per step, output of the one at work, bars with an ETA below.

    *verbose* prints each line of output; else output is shown only for a step that fails (it is all in the log).
    """

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__()
        self._verbose = verbose
        self._steps: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            self._bars.update(event.text or event.phase or event.step, event.done, event.total, unit=event.unit)
        elif event.kind == "output":
            if self._verbose:
                self._bars.say("    " + printable(event.text))
        elif event.kind == "step":
            self._step(event)
        elif event.kind == "phase" and event.phase in {"waiting", "resolving"}:
            self._bars.say(f"{event.phase}: {printable(event.text)}" if event.text else f"{event.phase} …")

    def say(self, line: str) -> None:
        """A line of its own among the steps."""
        self._bars.say(line)

    def _step(self, event: Event) -> None:
        if event.cached:
            self._bars.say(f"  {event.step_id[:12]}  cached  {printable(event.step)}")
        elif event.phase == "done":
            seconds = event.time - self._steps.pop(event.step_id, event.time)
            self._bars.say(f"  {event.step_id[:12]}  {seconds:5.1f}s  {printable(event.step)}")
        elif event.step_id not in self._steps:
            self._steps[event.step_id] = event.time


class _Bars:
    """rich's bars on a terminal; elsewhere a line per thing, at its end."""

    def __init__(self) -> None:
        self._progress: Any = None
        self._tasks: dict[str, Any] = {}
        self._said: dict[str, float] = {}

    def open(self) -> None:
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]}", markup=False), TimeRemainingColumn(compact=True),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._progress.start()

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def say(self, line: str) -> None:
        if self._progress is not None:
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def update(self, what: str, done: int, total: int, *, unit: str = "") -> None:
        if self._progress is None:
            # A pipe or a log file: one line each ten seconds and one at the end are enough.
            now = time.monotonic()
            if total and done >= total and self._said.get(what, 0) >= 0:
                self._said[what] = -1
                print(f"  {printable(what)}: {_amount(done, total, unit)}", file=sys.stderr, flush=True)
            elif self._said.setdefault(what, now) >= 0 and now - self._said[what] > 10:
                self._said[what] = now
                print(f"  {printable(what)}: {_amount(done, total, unit)}", file=sys.stderr, flush=True)
            return
        task = self._tasks.get(what)
        if task is None:
            task = self._tasks[what] = self._progress.add_task(printable(what), total=total or None, amount="")
        self._progress.update(task, completed=done, total=total or None, amount=_amount(done, total, unit))
        if total and done >= total:
            self._progress.remove_task(self._tasks.pop(what))


def _amount(done: int, total: int, unit: str) -> str:
    if unit == "bytes" or (not unit and max(done, total) > 100_000):
        text = f"{done / 1e6:.1f}"
        return f"{text}/{total / 1e6:.1f} MB" if total else f"{text} MB"
    return f"{done}/{total}" if total else str(done)
