"""One notebook in one kernel: the kernel's life as a context, and nbclient without its own handling of kernels.

nbclient registers signal handlers and exit functions per notebook, which get in each other's way when several run in
one loop; so the kernel is started and stopped here, and nbclient gets what runs.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from ..errors import ContainersError, KernelError
from ..runtime.base import Container
from .ending import describe_end
from .kernelspec import PROVISIONER
from .options import KernelOptions, merge_options
from .provisioner import ContainerProvisioner
from .source import Source

__all__ = ["NotebookRun", "Outcome", "RunningKernel", "open_kernel"]

STARTUP_TIMEOUT = 120
"""Seconds for the kernel's first answer; its container runs and its image is there by then."""


class RunningKernel(msgspec.Struct, frozen=True):
    manager: Any
    client: Any
    container: Container


class _OneKernel(KernelSpecManager):
    """Knows a single kernelspec, which is nowhere on disk."""

    def __init__(self, spec: KernelSpec, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._spec = spec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self._spec


@asynccontextmanager
async def open_kernel(
    source: Source, folder: Path, options: KernelOptions | None = None
) -> AsyncIterator[RunningKernel]:
    """A kernel of *source* that answers, with *folder* as its notebook's folder; shut down at the end.

    :class:`.ContainersError` where it can't be started.
    """
    config = merge_options(source.options, options)
    provisioner = {"provisioner_name": PROVISIONER, "config": msgspec.to_builtins(config)}
    spec = KernelSpec(
        display_name=source.name, language=source.language, argv=[], metadata={"kernel_provisioner": provisioner}
    )
    name = f"jc-{source.name}"
    manager = AsyncKernelManager(kernel_name=name, kernel_spec_manager=_OneKernel(spec))
    try:
        await manager.start_kernel(cwd=str(folder.absolute()))
        started = manager.provisioner
        assert isinstance(started, ContainerProvisioner) and started.container is not None
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=STARTUP_TIMEOUT)
        except RuntimeError as error:
            raise _not_ready(source, started.container, error) from error
        client.allow_stdin = False
        try:
            yield RunningKernel(manager, client, started.container)
        finally:
            client.stop_channels()
    finally:
        if manager.has_kernel:
            await manager.shutdown_kernel(now=not await manager.is_alive())


def _not_ready(source: Source, container: Container, error: Exception) -> KernelError:
    code = container.poll()
    cause = describe_end(container.state()) if code is not None else str(error)
    return KernelError(f"the kernel of {source.name} did not answer: {cause}", output=container.logs(tail=20))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["ok", "failed", "timed out", "died"]
    error: str = ""
    hint: str = ""


class _Client(NotebookClient):
    """nbclient with a kernel that is there already."""

    @asynccontextmanager
    async def async_setup_kernel(self, **kwargs: Any) -> AsyncIterator[None]:
        yield


class NotebookRun:
    """The execution of *notebook* (changed in place: outputs are filled in) in *kernel*."""

    def __init__(
        self, notebook: Any, kernel: RunningKernel, *, timeout: float | None = None, allow_errors: bool = False
    ) -> None:
        self._notebook = notebook
        self._kernel = kernel
        self._at = 0
        self._client = _Client(
            notebook, km=kernel.manager, timeout=timeout, allow_errors=allow_errors, on_cell_start=self._note
        )
        self._client.kc = kernel.client

    def _note(self, cell: Any, cell_index: int) -> None:
        self._at = cell_index

    async def execute(self, on_cell: Callable[..., Awaitable[None]]) -> Outcome:
        """Run every cell; *on_cell* is called after each code cell, as nbclient's ``on_cell_executed``."""
        self._client.on_cell_executed = on_cell
        try:
            await self._client.async_execute()
        except CellExecutionError as error:
            return Outcome(status="failed", error=f"{self._place()}: {error.ename}: {_last_line(error.evalue)}")
        except CellTimeoutError:
            return Outcome(
                status="timed out",
                error=f"{self._place()}: ran longer than {self._client.timeout:g} s",
                hint="--timeout sets the time of a cell",
            )
        except DeadKernelError:
            return Outcome(status="died", error=f"{self._place()}: the kernel died: {self._cause()}", hint=self._hint())
        return Outcome(status="ok")

    def _place(self) -> str:
        """The cell at work, counted as its reader counts: code cells, from 1."""
        before = self._notebook.cells[: self._at + 1]
        return f"cell {sum(cell.cell_type == 'code' for cell in before)}"

    def _cause(self) -> str:
        try:
            return describe_end(self._kernel.container.state())
        except ContainersError as error:
            return error.message

    def _hint(self) -> str:
        if re.search("memory", self._cause()):
            return "raise `resources.memory` in the spec, or say --memory"
        return ""


def _last_line(text: str) -> str:
    lines = [line for line in str(text).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
