"""No kernel is left behind when a notebook's session changes its kernel and ends at the same time.

A change of kernel (``PATCH /api/sessions/ID``) starts the new one, then writes it into the session. jupyter_server does
not look whether the session is there still: one that was ended meanwhile, by a tab that was closed or by another page,
or that has been given yet another kernel, leaves a kernel that belongs to nobody and runs on.
"""

from __future__ import annotations

from typing import Any

from tornado import web

__all__ = ["SessionsMixin"]


class SessionsMixin:
    """Goes in front of a subclass of jupyter_server's ``SessionManager``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ending: set[str] = set()
        self._changes: dict[str, object] = {}
        """The newest change of kernel of each session that is under way."""

    async def start_kernel_for_session(self, session_id: str, *args: Any, **kwargs: Any) -> str:
        if not self._exists(session_id):  # a new one
            first: str = await super().start_kernel_for_session(session_id, *args, **kwargs)  # type: ignore[misc]
            return first
        change = self._changes[session_id] = object()
        try:
            kernel_id: str = await super().start_kernel_for_session(session_id, *args, **kwargs)  # type: ignore[misc]
            newest = self._changes.get(session_id) is change
        finally:
            if self._changes.get(session_id) is change:
                del self._changes[session_id]
        # From here to where the session is written nothing else runs.
        if session_id in self._ending or not self._exists(session_id):
            reason = "the notebook's session was ended while its kernel was changed"
        elif not newest:
            reason = "the notebook's kernel was changed once more meanwhile"
        else:
            return kernel_id
        self.log.info("kernel %s ends: %s", kernel_id, reason)  # type: ignore[attr-defined]
        await self.kernel_manager.shutdown_kernel(kernel_id, now=True)  # type: ignore[attr-defined]  # nobody has it
        raise web.HTTPError(409, reason)

    async def delete_session(self, session_id: str) -> None:
        self._ending.add(session_id)
        try:
            await super().delete_session(session_id)  # type: ignore[misc]
        finally:
            self._ending.discard(session_id)

    def _exists(self, session_id: str) -> bool:
        found = self.connection.execute("SELECT 1 FROM session WHERE session_id=?", (session_id,))  # type: ignore[attr-defined]
        return found.fetchone() is not None
