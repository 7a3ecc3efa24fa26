"""Notebooks that are renamed, moved or deleted through this server: what was agreed to for them goes with them.

Jupyter Server's contents manager, whichever it is, tells of each such action in an event of the schema below
(jupyter_server/event_schemas/contents_service/v1.yaml). What happens to files elsewhere, in a shell, nobody tells.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..kernels.limits import current_policy
from ..kernels.naming import move_notebook

if TYPE_CHECKING:
    from jupyter_events import EventLogger

__all__ = ["CONTENTS_SCHEMA", "follow_notebooks"]

CONTENTS_SCHEMA = "https://events.jupyter.org/jupyter_server/contents_service/v1"


def follow_notebooks(logger: EventLogger, root: Path) -> None:
    """Follow what *logger* tells of the files below *root*, the server's root folder, from now on."""

    async def on_event(logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:  # called by name
        action, path = data.get("action"), str(data.get("path", ""))
        if action == "rename":
            before, after = _place(root, str(data.get("source_path", ""))), _place(root, path)
            current_policy().move(before, after)
            move_notebook(before, after)
        elif action == "delete":
            current_policy().forget(_place(root, path))

    logger.add_listener(schema_id=CONTENTS_SCHEMA, listener=on_event)


def _place(root: Path, path: str) -> Path:
    return root / path.strip("/")
