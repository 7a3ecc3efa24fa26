"""Kernels whose image is still being built: their start is answered soon, and told as *starting* until it is there.

A start that is quick, or fails quickly, is answered as ever: with the kernel, or with what went wrong. One that takes
longer would be cut off by a proxy; it is answered as a pending kernel (``use_pending_kernels`` of jupyter_client):
its state is ``starting``, its websocket opens once it is ready, and cells that were sent until then run. One whose
start fails then is told as *dead*, with the reason. Kernels outside of containers are started and ended as without
this.
"""

from __future__ import annotations

import asyncio
import functools
from contextvars import ContextVar
from typing import Any

from tornado import web
from traitlets import Float
from traitlets.config import Configurable

from ..errors import ContainersError, KernelError
from ..kernels.kernelspec import PROVISIONER
from .handlers.base import status_of

__all__ = ["PendingStartsMixin", "ToldFailuresMixin"]

_GONE = 410

END_PATIENCE = 5.0
"""Seconds that a start which was told to end is given."""

_pending: ContextVar[bool] = ContextVar("pending", default=False)
"""Whether the start that this context is about may be answered before its kernel is ready."""


class StartFailed(web.HTTPError):
    """Why a kernel did not start, as the server's handlers pass it on; of other exceptions they keep the text back."""

    def __init__(self, error: ContainersError) -> None:
        super().__init__(status_of(error), str(error))
        self.error = error

    def __str__(self) -> str:
        return str(self.error)


class PendingStartsMixin(Configurable):
    """Goes in front of a subclass of jupyter_server's ``AsyncMappingKernelManager``."""

    start_patience = Float(
        10.0, config=True, help="Seconds to wait for a container's kernel before its start is answered as pending."
    )

    @property
    def use_pending_kernels(self) -> bool:
        return _pending.get()

    async def start_kernel(self, *args: Any, kernel_name: str | None = None, **kwargs: Any) -> str:
        if not self._is_container(kernel_name):
            native: str = await super().start_kernel(*args, kernel_name=kernel_name, **kwargs)  # type: ignore[misc]
            return native
        token = _pending.set(True)
        try:
            kernel_id: str = await super().start_kernel(*args, kernel_name=kernel_name, **kwargs)  # type: ignore[misc]
        finally:
            _pending.reset(token)
        ready = _ready(self.get_kernel(kernel_id))  # type: ignore[attr-defined]
        await asyncio.wait({ready}, timeout=self.start_patience)
        if not ready.done():
            ready.add_done_callback(functools.partial(_tell_failure, self.get_kernel(kernel_id)))  # type: ignore[attr-defined]
        error = ready.exception() if ready.done() else None
        if error is not None:
            await self.shutdown_kernel(kernel_id, now=True)  # forgets it: nothing runs
            if isinstance(error, ContainersError):
                raise StartFailed(error) from error
            raise error
        task = self._pending_kernel_tasks.get(kernel_id)  # type: ignore[attr-defined]
        if ready.done() and task is not None:
            await task  # activity is watched from the answer on, as for every kernel
        return kernel_id

    async def _async_shutdown_kernel(self, kernel_id: str, now: bool = False, restart: bool = False) -> None:
        kernel = self._kernels.get(kernel_id)  # type: ignore[attr-defined]
        if kernel is not None and not kernel.ready.done() and hasattr(kernel.provisioner, "cancel_start"):
            await self._end_start(kernel_id, kernel)
        await super()._async_shutdown_kernel(kernel_id, now=now, restart=restart)  # type: ignore[misc]

    async def _end_start(self, kernel_id: str, kernel: Any) -> None:
        """Have a start that is under way fail. jupyter_client would wait for it, for a build perhaps an hour, and so
        would the end of the server."""
        kernel.provisioner.cancel_start()
        task = self._pending_kernels.get(kernel_id)  # type: ignore[attr-defined]
        if task is None:  # a restart by itself, which jupyter_client does not wait for
            kernel.stop_restarter()
            if await _settles(kernel, END_PATIENCE):
                return
        else:
            await asyncio.wait({task}, timeout=END_PATIENCE)
            if task.done():
                return
            task.cancel()
            await asyncio.wait({task})
        if not kernel.ready.done():
            kernel.ready.set_exception(KernelError("the kernel's start was given up: the kernel is to end"))
        try:
            await asyncio.wait_for(kernel.provisioner.kill(), END_PATIENCE)
            await asyncio.wait_for(kernel.provisioner.cleanup(), END_PATIENCE)
        except (ContainersError, TimeoutError) as error:
            self.log.warning("what kernel %s has started could not be removed: %s", kernel_id, error)  # type: ignore[attr-defined]

    shutdown_kernel = _async_shutdown_kernel

    def _is_container(self, kernel_name: str | None) -> bool:
        from jupyter_client.kernelspec import NoSuchKernel

        specs = self.kernel_spec_manager  # type: ignore[attr-defined]
        try:
            spec = specs.get_kernel_spec(kernel_name or self.default_kernel_name)  # type: ignore[attr-defined]
        except NoSuchKernel:
            return False  # the start tells of it
        provisioner = spec.metadata.get("kernel_provisioner", {})
        return bool(provisioner.get("provisioner_name") == PROVISIONER)


class ToldFailuresMixin:
    """Goes in front of a subclass of jupyter_server's ``ZMQChannelsWebsocketConnection``."""

    async def prepare(self) -> None:
        """Wait for the kernel, before the websocket opens; where its start has failed, refuse with the reason.

        jupyter_server answers 500 and logs a traceback, as for a defect of its own. Any refusal makes JupyterLab ask
        for the kernel's model, find it dead, and show its ``reason`` (services/src/kernel/default.ts, earlyClose).
        """
        kernel: Any = self.kernel_manager  # type: ignore[attr-defined]
        try:
            await super().prepare()  # type: ignore[misc]
        except web.HTTPError:
            ready = _ready(kernel)
            error = ready.exception() if ready.done() and not ready.cancelled() else None
            if not isinstance(error, ContainersError):
                raise
            self._open_sessions.pop(self.session_key, None)  # type: ignore[attr-defined]  # it never opened
            raise web.HTTPError(_GONE, f"the kernel did not start: {error}", reason="Kernel Did Not Start") from None


def _tell_failure(kernel: Any, ready: asyncio.Future[None]) -> None:
    """A start that fails after it was answered: jupyter_server would tell the kernel as *starting* for ever."""
    error = None if ready.cancelled() else ready.exception()
    if error is not None:
        kernel.execution_state = "dead"
        kernel.reason = str(error)


async def _settles(kernel: Any, patience: float) -> bool:
    """Wait for what is under way: a restart is an end and a start, each with a future of its own."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while not kernel.ready.done():
        if loop.time() > deadline:
            return False
        await asyncio.wait({_ready(kernel)}, timeout=deadline - loop.time())
        await asyncio.sleep(0.01)  # the start after the end
    return True


def _ready(kernel: Any) -> asyncio.Future[None]:
    ready = kernel.ready
    return ready if isinstance(ready, asyncio.Future) else asyncio.wrap_future(ready)
