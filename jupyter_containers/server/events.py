"""What happens, told to whoever listens: jupyter_events, and the counters of :mod:`.metrics`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import metrics

if TYPE_CHECKING:
    from jupyter_events import EventLogger

    from ..kernels.deaths import Death
    from ..runtime.base import ContainerState
    from ..views import BuildView

__all__ = [
    "BUILD_SCHEMA", "CONTAINER_SCHEMA", "KERNEL_SCHEMA", "register_schemas", "report_build", "report_container",
    "report_death",
]  # fmt: skip

BUILD_SCHEMA = "urn:jupyter-containers:event:build:1"
CONTAINER_SCHEMA = "urn:jupyter-containers:event:container:1"
KERNEL_SCHEMA = "urn:jupyter-containers:event:kernel:1"

_SCHEMAS = Path(__file__).parent / "schemas"

_ACTIONS: dict[str, str] = {"running": "started", "done": "done", "failed": "failed", "cancelled": "cancelled"}


def register_schemas(logger: EventLogger) -> None:
    """Make the schemas of ``schemas/`` known to the server's logger, once."""
    files = {BUILD_SCHEMA: "build.yaml", CONTAINER_SCHEMA: "container.yaml", KERNEL_SCHEMA: "kernel.yaml"}
    for schema_id, file in files.items():
        if schema_id not in logger.schemas:
            logger.register_event_schema(_SCHEMAS / file)


def report_build(logger: EventLogger, view: BuildView) -> None:
    """In the event loop: count and emit the start or the end of a build."""
    metrics.count_build(view)
    data: dict[str, Any] = {"action": _ACTIONS[view.state], "build_id": view.id, "environment": view.environment}
    if view.started_at is not None and view.ended_at is not None:
        data["seconds"] = round(view.ended_at - view.started_at, 3)
    if view.image:
        data["image"] = view.image
    if view.error:
        data["error"] = view.error
    _emit(logger, BUILD_SCHEMA, data)


def report_container(
    logger: EventLogger, action: Literal["started", "ended", "removed"], state: ContainerState
) -> None:
    """In the event loop: count and emit a change of a container."""
    metrics.count_container(action, state)
    data: dict[str, Any] = {
        "action": action,
        "container_id": state.id,
        "name": state.name,
        "image": state.image,
        "image_name": state.image_name,
        "kind": state.kind,
    }
    if action != "started":
        data |= {"exit_code": state.exit_code, "cause": state.cause}
    _emit(logger, CONTAINER_SCHEMA, data)


def report_death(logger: EventLogger, death: Death) -> None:
    """In the event loop: emit that a kernel has died."""
    data = {
        "action": "died",
        "kernel_id": death.kernel_id,
        "container_id": death.container,
        "environment": death.environment,
        "message": death.message,
        "hint": death.hint,
        "oom": death.oom,
        "memory_limit": death.memory_limit,
        "memory_peak": death.memory_peak,
        "exit_code": death.exit_code,
    }
    _emit(logger, KERNEL_SCHEMA, data)


def _emit(logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
    asyncio.get_running_loop()  # the logger starts its listeners as tasks
    logger.emit(schema_id=schema_id, data=data)
