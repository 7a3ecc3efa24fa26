"""Kernels that end without being asked to: told to those who listen, while it is still known why.

jupyter_client starts a dead kernel again within seconds, and its container goes with all that was known of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from ..errors import NotFoundError
from ..runtime.base import Container, ContainerState
from .ending import describe_end
from .launch import ENVIRONMENT_LABEL, KERNEL_ID_LABEL, NOTEBOOK_LABEL

__all__ = ["Death", "describe_death", "forget", "last_state", "listen", "tell"]


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that died, and why."""

    kernel_id: str
    container: str
    name: str
    """Of the container."""
    environment: str
    notebook: str
    """Its path, as the server tells it to the kernel."""
    message: str
    """In one sentence, for the notebook."""
    hint: str
    oom: bool
    """It was killed for memory."""
    memory_limit: int | None
    memory_peak: int | None
    exit_code: int | None
    at: float
    """Seconds since the epoch."""


Listener: TypeAlias = Callable[[Death], None]

_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Have *listener* called with each death, in the thread that sees it."""
    _listeners.append(listener)


def forget(listener: Listener) -> None:
    """Undo :func:`listen`."""
    if listener in _listeners:
        _listeners.remove(listener)


def tell(death: Death) -> None:
    for listener in tuple(_listeners):
        listener(death)


def last_state(container: Container) -> ContainerState:
    """Of one that has ended; also where somebody has removed it, and nothing more is known."""
    try:
        return container.state()
    except NotFoundError:
        config = container.config
        return ContainerState(
            id=container.id, name=config.name, image=config.image, image_name=config.image_name, kind=config.kind,
            argv=config.argv, status="exited", created_at=0.0, cause="its container was removed", labels=config.labels,
        )  # fmt: skip


def describe_death(state: ContainerState) -> Death:
    """What is to be told of the kernel whose container's last *state* this is. Pure."""
    labels = state.labels
    hint = ""
    if state.oom:
        hint = "raise `resources.memory` in the spec, choose a higher limit for the notebook, or hold less in memory"
    return Death(
        kernel_id=labels.get(KERNEL_ID_LABEL, ""), container=state.id, name=state.name,
        environment=labels.get(ENVIRONMENT_LABEL, state.image_name), notebook=labels.get(NOTEBOOK_LABEL, ""),
        message=f"the kernel has died: {describe_end(state)}", hint=hint, oom=state.oom,
        memory_limit=state.memory_limit, memory_peak=state.memory_peak, exit_code=state.exit_code,
        at=state.ended_at or time.time(),
    )  # fmt: skip
