"""What a server does for the store now and then: keep it below a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..errors import ContainersError

if TYPE_CHECKING:
    from logging import Logger

    from .service import Service

__all__ = ["keep_below"]

_INTERVAL = 6 * 3600.0
"""Seconds between two looks: all files of the store are counted."""


async def keep_below(service: Service, limit: int, log: Logger, *, interval: float = _INTERVAL) -> None:
    """Now and every *interval* seconds: prune what the store holds over *limit* bytes."""
    from ..spec.sizes import format_size

    while True:
        try:
            pruned = await service.call_slow(lambda: service.environments.storage.prune(keep_bytes=limit))
        except ContainersError as error:
            log.warning("the store can't be pruned: %s", error.message)
        else:
            if pruned.items:
                log.info("the store was over %s: %s freed", format_size(limit), format_size(pruned.size))
            if pruned.left is not None and pruned.left > limit:
                log.warning("the store holds %s; what is over is pinned or in use", format_size(pruned.left))
        await asyncio.sleep(interval)
