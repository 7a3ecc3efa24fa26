"""More than a thousand sockets of ZeroMQ in a server, which is what some two hundred open notebooks have.

libzmq gives a context 1023 (``ZMQ_MAX_SOCKETS``, zmq_ctx_set(3)) and says "Too many open files" at the next, whatever
the limit of descriptors is. A kernel takes one of its server, and five more while a notebook is open.
"""

from __future__ import annotations

from typing import Any

import zmq
from traitlets import default
from traitlets.config import Configurable

__all__ = ["ManySocketsMixin"]


class ManySocketsMixin(Configurable):
    """Goes in front of a subclass of jupyter_server's ``AsyncMappingKernelManager``."""

    @default("context")
    def _context_default(self) -> Any:
        context = super()._context_default()  # type: ignore[misc]
        # Counts only before the first socket. What is not used costs 12 bytes each.
        context.set(zmq.MAX_SOCKETS, context.get(zmq.SOCKET_LIMIT))
        return context
