"""How the kernels of an environment start: what its settings and its image say, and what those that run have done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import msgspec

from .errors import InputError, NotFoundError

if TYPE_CHECKING:
    from .image.store import Store
    from .paths import Paths
    from .runtime.base import Runtime

__all__ = ["StartView", "Starts"]


class StartView(msgspec.Struct, frozen=True, kw_only=True):
    """Of an environment's kernels."""

    kind: Literal["fork", "pool", "fresh"]
    """What a start tries first."""
    reason: str = ""
    """Why it is not the one before it in that list."""
    ready: int = 0
    """Fork servers and kernels of it that are kept ready now, by whichever process."""
    last: str = ""
    """How the newest of those that run was started: ``fork``, or ``pool: `` or ``fresh: `` and why; empty: there is
    none, or no warm start was asked for."""


class Starts:
    """In: ``environments.starts``."""

    def __init__(self, paths: Paths, store: Store, *, runtime: Callable[[], Runtime]) -> None:
        self._paths, self._store, self._runtime = paths, store, runtime

    def find(self, name: str) -> StartView:
        """Of the environment *name*, with its installed kernelspec's settings, else those that every kernel has. What
        a server's configuration says besides is not known here. :class:`NotFoundError`; :class:`InputError` where its
        spec asks for what nobody agreed to."""
        from .kernels.kernelspec import find_options
        from .kernels.launch import ENVIRONMENT_LABEL
        from .kernels.target import find_target
        from .kernels.warmth import Choice, foretell

        options = find_options(name)
        target = find_target(options, self._paths, self._store)
        choice = foretell(target, options) if target is not None else Choice("fresh", "its image is built first")
        states = [state for state in self._runtime().list(all=True) if state.image_name == name]
        alive = [state for state in states if state.status in ("running", "paused")]
        kernels = [state for state in alive if state.kind == "kernel" and ENVIRONMENT_LABEL in state.labels]
        return StartView(
            kind=choice.kind, reason=choice.reason, last=kernels[0].start if kernels else "",
            ready=sum(state.kind in ("forkserver", "pooled") for state in alive),
        )  # fmt: skip

    def look(self, name: str) -> StartView | None:
        """The same; None where it can't be told."""
        with suppress(NotFoundError, InputError):
            return self.find(name)
        return None
