"""Run notebooks in containers, side by side, with nbclient.

Each notebook gets a kernel of its own, started through the provisioner as any other client's would be. The executed
copy is written whatever happened, so that a failed one shows its traceback in place.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import nbformat

from ..build.monitor import Monitor, silent
from ..errors import ContainersError, InputError
from ..runtime.base import Container
from .notebook import NotebookRun, open_kernel
from .options import KernelOptions
from .source import Source, find_sources
from .worker import worker

__all__ = ["CellEvent", "NotebookResult", "execute_notebooks", "output_path", "read_notebook", "write_notebook"]

Status: TypeAlias = Literal["ok", "failed", "timed out", "died", "not started", "cancelled"]


class NotebookResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one notebook."""

    notebook: str
    status: Status
    environment: str
    cells: int
    """Code cells that it has."""
    executed: int
    """Code cells that ran to their end, failed ones included."""
    seconds: float
    """From the kernel's launch to its end."""
    start_seconds: float = 0.0
    """From the kernel's launch until it answered."""
    memory_peak: int | None = None
    """Bytes, of the whole container: the control group's word, or where there is none, the most that was in use after
    a cell. None where nothing could be measured."""
    output: str = ""
    """Path of the executed copy."""
    error: str = ""
    """In one line: ``cell 3: ZeroDivisionError: division by zero``."""
    hint: str = ""
    unenforced: tuple[str, ...] = ()
    """Limits that the host can't enforce and that were accepted as they are, each with what there is instead."""


class CellEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook that has got further: cell ``done`` of ``total`` code cells has ended, or (0) its kernel answers."""

    notebook: str
    done: int
    total: int


Listener: TypeAlias = Callable[[CellEvent], None]


def execute_notebooks(
    notebooks: Sequence[Path],
    *,
    env: str = "",
    named: Mapping[Path, str] | None = None,
    jobs: int = 1,
    output_dir: Path | None = None,
    inplace: bool = False,
    timeout: float | None = None,
    allow_errors: bool = False,
    options: KernelOptions | None = None,
    monitor: Monitor = silent,
    listener: Listener = lambda event: None,
) -> tuple[NotebookResult, ...]:
    """Execute *notebooks*, *jobs* at a time, and return a result for each, in order.

    *env*: name of an environment, or path of a spec, for all of them; empty: each notebook's own spec (a PEP 723 block
    in its first code cell), else that of its folder. What is not built is built first, with *monitor* listening.
    *named*: the environments of some of them. *timeout*: seconds for each cell. *options*: limits and settings on top
    of the spec's.

    :class:`InputError` before anything runs: a file that is no notebook, a language that the environment doesn't speak,
    two results of one path. A notebook that fails is a result and no exception. On KeyboardInterrupt kernels are shut
    down, and what was executed is written.
    """
    read = [(path, read_notebook(path)) for path in notebooks]
    outputs = _choose_outputs(notebooks, output_dir=output_dir, inplace=inplace)
    sources = find_sources(read, env, named=named, settings=options, monitor=monitor)
    tasks = [
        _Task(path, notebook, source, output)
        for (path, notebook), source, output in zip(read, sources, outputs, strict=True)
    ]
    settings = _Settings(timeout=timeout, allow_errors=allow_errors, options=options, listener=listener)
    return asyncio.run(_run_all(tasks, settings, max(1, jobs)))


def read_notebook(path: Path) -> Any:
    """The notebook in *path*, in the newest format; :class:`InputError` where it can't be read or is none."""
    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="name a notebook that is there") from error
    except Exception as error:  # nbformat raises what its JSON and schema libraries raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "name an .ipynb file of Jupyter; a script becomes one with `jupytext --to ipynb`"
        raise InputError(f"{path} is not a notebook: {reason}", hint=hint) from error


def output_path(notebook: Path, *, output_dir: Path | None = None, inplace: bool = False) -> Path:
    """Where the executed copy goes: never over the original unless *inplace*."""
    if inplace:
        return notebook
    if output_dir is not None:
        return output_dir / notebook.name
    return notebook.with_name(f"{notebook.stem}.executed.ipynb")


def _choose_outputs(notebooks: Sequence[Path], *, output_dir: Path | None, inplace: bool) -> list[Path]:
    if output_dir is not None and inplace:
        raise InputError("--output-dir and --inplace exclude each other", hint="leave one of them out")
    if output_dir is not None:
        try:
            output_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {output_dir}: {error.strerror}") from error
    chosen: dict[Path, Path] = {}
    for notebook in notebooks:
        output = output_path(notebook, output_dir=output_dir, inplace=inplace)
        real = output.resolve()
        if real in chosen:
            raise InputError(
                f"{chosen[real]} and {notebook} would both be written to {output}",
                hint="name each notebook once; those of one file name need output folders of their own",
            )
        if not inplace and real == notebook.resolve():
            raise InputError(f"{output} would replace the notebook itself", hint="say --inplace if that is wanted")
        chosen[real] = notebook
    return [output_path(item, output_dir=output_dir, inplace=inplace) for item in notebooks]


class _Task(msgspec.Struct, frozen=True):
    path: Path
    notebook: Any
    source: Source
    output: Path


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    timeout: float | None
    allow_errors: bool
    options: KernelOptions | None
    listener: Listener


async def _run_all(tasks: Sequence[_Task], settings: _Settings, jobs: int) -> tuple[NotebookResult, ...]:
    free = asyncio.Semaphore(jobs)

    async def run(task: _Task) -> NotebookResult:
        async with free:
            return await _run(task, settings)

    return tuple(await asyncio.gather(*map(run, tasks)))


async def _run(task: _Task, settings: _Settings) -> NotebookResult:
    started = time.monotonic()
    cells = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in task.notebook.cells)
    done = 0
    ready = started
    status: Status = "not started"
    error = hint = ""
    peak: int | None = None
    unenforced: tuple[str, ...] = ()

    async def count(cell: Any, cell_index: int, execute_reply: Any = None) -> None:
        nonlocal done, peak
        done += 1
        settings.listener(CellEvent(notebook=str(task.path), done=done, total=cells))
        peak = await _measure(kernel.container, peak)

    try:
        async with open_kernel(task.source, task.path.parent, settings.options) as kernel:
            ready = time.monotonic()
            if settings.options is not None and settings.options.accept_unenforced:
                unenforced = await _list_unenforced(kernel.container, settings.options.accept_unenforced)
            settings.listener(CellEvent(notebook=str(task.path), done=0, total=cells))
            run = NotebookRun(task.notebook, kernel, timeout=settings.timeout, allow_errors=settings.allow_errors)
            try:
                outcome = await run.execute(count)
                status, error, hint = outcome.status, outcome.error, outcome.hint
            except asyncio.CancelledError:
                status = "cancelled"
                raise
            finally:
                write_notebook(task.notebook, task.output)
    except ContainersError as problem:
        error, hint = problem.message, problem.hint
    return NotebookResult(
        notebook=str(task.path),
        status=status,
        environment=task.source.name,
        cells=cells,
        executed=done,
        seconds=time.monotonic() - started,
        start_seconds=ready - started,
        memory_peak=peak,
        output=str(task.output) if status != "not started" else "",
        error=error,
        hint=hint,
        unenforced=unenforced,
    )


async def _list_unenforced(container: Container, accepted: Sequence[str]) -> tuple[str, ...]:
    """Of the *accepted* limits those that nothing enforces, or (memory) an rlimit, which is less than was asked."""
    state = await worker().run(container.state)
    return tuple(
        f"{item.limit}: {item.note or 'enforced by nothing'}"
        for item in state.limits
        if item.limit in accepted and (not item.enforced_by or (item.limit, item.enforced_by) == ("memory", "rlimit"))
    )


async def _measure(container: Container, before: int | None) -> int | None:
    try:
        stats = await worker().run(container.stats)
    except ContainersError:  # one that is gone has no figures
        return before
    return max(stats.memory_peak or stats.memory, before or 0)


def write_notebook(notebook: Any, output: Path) -> None:
    """Replace *output* in one step: a crash leaves the old one or the new one."""
    text = nbformat.writes(notebook) + "\n"  # type: ignore[no-untyped-call]
    # Lone surrogates, which a cell may print, are not UTF-8 and would lose the whole notebook.
    text = re.sub(r"[\ud800-\udfff]", "�", text)
    mode = output.stat().st_mode & 0o777 if output.exists() else 0o666 & ~_umask()
    handle, draft = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(draft).chmod(mode)
        Path(draft).replace(output)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
