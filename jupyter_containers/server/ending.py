"""The end of a server with many kernels: all at once, in a time that is known, whatever one of them does.

jupyter_server ends all kernels and then itself. Where one can't be ended it would not end itself either, and a service
manager kills a server that takes too long (systemd after 90 s, ``TimeoutStopSec``), with what it has still to do.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from traitlets import Float
from traitlets.config import Configurable

__all__ = ["BoundedEndMixin"]


class BoundedEndMixin(Configurable):
    """Goes in front of a subclass of jupyter_server's ``AsyncMappingKernelManager``."""

    end_patience = Float(
        60.0, config=True,
        help="Seconds that all kernels together have to end when the server does; then they end with its process.",
    )  # fmt: skip

    async def _async_shutdown_all(self, now: bool = False) -> None:
        kernels = {*self.list_kernel_ids(), *self._pending_kernels}  # type: ignore[attr-defined]
        ends = {asyncio.ensure_future(self._end(kernel_id, now)): kernel_id for kernel_id in kernels}
        if not ends:
            return
        log: logging.Logger = self.log  # type: ignore[attr-defined]
        ended, late = await asyncio.wait(ends, timeout=self.end_patience)
        for task in ended:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                log.warning("kernel %s could not be ended in order: %s", ends[task], error)
        if late:
            log.warning(
                "%d of %d kernels have not ended within %g s: they end with this process",
                len(late), len(ends), self.end_patience,
            )  # fmt: skip
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=1.0)

    shutdown_all = _async_shutdown_all

    async def _end(self, kernel_id: str, now: bool) -> None:
        kernel: Any = self._kernels.get(kernel_id)  # type: ignore[attr-defined]
        await self.shutdown_kernel(kernel_id, now=now)  # type: ignore[attr-defined]
        if kernel is not None and self._using_pending_kernels():  # type: ignore[attr-defined]
            await kernel.ready  # it was answered before the kernel has ended
