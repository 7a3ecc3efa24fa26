"""The bundled runtime: containers as bubblewrap sandboxes over an overlay, each with a folder on disk.

A container is kept by a process that waits for its end and writes it down: the owner itself where the container is
not to outlive it (kernels, `run` in the foreground), a monitor of its own otherwise (`run -d`).
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import InputError, NotFoundError
from ..image.durable import full_disk_told
from ..image.store import Store
from ..paths import Paths
from ..sandbox import launcher
from .base import ContainerConfig, ContainerState, Meter
from .container import BundledContainer
from .ending import remove_rest
from .folder import Folder, create_folder, find_folder, list_folders
from .keeper import Keeper
from .listing import list_states
from .removal import is_lasting, pin_name, settle_container
from .scarcity import scarcity_told
from .strays import remove_strays
from .translate import check_mounts

if TYPE_CHECKING:
    from ..spec.model import Resources

__all__ = ["BundledRuntime"]

_HALF_MADE = 60.0
"""Seconds after which a folder that is being made or removed counts as left by a process that was killed at it."""


_OURS = frozenset({"forkserver", "pooled"})
"""Kinds of containers that are kept ready, and nobody's."""


class BundledRuntime:
    """See the module's text. Stateless: several may work on one home, in one process and in many."""

    name = "bundled"

    def __init__(self, paths: Paths, store: Store) -> None:
        self.paths = paths
        self.store = store

    def expect_start(self) -> None:
        # Two processes that take 15 ms to start: meanwhile the caller imports and reads what it needs.
        launcher.ahead()
        Keeper.current().reaper(self.paths.containers).ahead()

    @scarcity_told()
    def create(self, config: ContainerConfig) -> BundledContainer:
        """As of :class:`.base.Runtime`; also :class:`InputError` for mounts that are not possible."""
        check_mounts(config.mounts)
        for text in config.scratch:
            folder = Path(text)
            if ".." in folder.parts or folder == self.paths.runtime or not folder.is_relative_to(self.paths.runtime):
                raise InputError(f"scratch folder {text} is not below {self.paths.runtime}")
        image = self.store.image(config.image, named=False)
        self.store.mark_used(image.digest)
        with full_disk_told(self.paths.home):
            made = create_folder(self.paths.containers, msgspec.structs.replace(config, image=image.digest))
        container = BundledContainer(made, self.paths, self.store, image)
        if is_lasting(config.remove, config.kind):
            try:
                self.store.pin(pin_name(made.id), image.digest)
            except BaseException:
                container.remove()
                raise
        return container

    def find(self, reference: str) -> BundledContainer:
        return BundledContainer(find_folder(self.paths.containers, reference), self.paths, self.store)

    def list(self, *, all: bool = False) -> tuple[ContainerState, ...]:
        wanted = (
            state
            for state in list_states(self.paths.containers)
            if all or (state.status in ("running", "paused") and state.kind not in _OURS)
        )
        return tuple(sorted(wanted, key=lambda state: state.created_at, reverse=True))

    def meter(self) -> Meter:
        from .meter import BundledMeter  # late: few measure

        return BundledMeter(self.paths.containers)

    def check_limits(self, limits: Resources, *, accept: Collection[str] = ()) -> None:
        from .limits import check_limits  # late: control groups are nothing to a start without limits

        check_limits(limits, accept=accept)

    def refuses_fork(self, config: ContainerConfig) -> str:
        from .warm import find_refusal  # late: most starts are none of a fork

        return find_refusal(config, config.image, self.paths)

    def reap(self) -> tuple[str, ...]:
        """As of :class:`.base.Runtime`: the second line, behind the reaper and the monitors.

        An abandoned container that was to be removed at its end, and every abandoned kernel, is removed; another
        becomes an ended one.
        """
        reaped = []
        for folder in list_folders(self.paths.containers):
            with suppress(NotFoundError):
                if not self._is_left(folder):
                    continue
                with folder.locked(wait=False) as held:
                    if held and self._is_left(folder):
                        settle_container(folder.path, "whoever kept it was killed")
                        reaped.append(folder.id)
        self._sweep()
        return tuple(reaped)

    def _is_left(self, folder: Folder) -> bool:
        kept, config = folder.kept(), folder.config()
        if kept.status != "running" and is_lasting(config.remove, config.kind):
            return False  # at rest, as it should be
        return folder.is_abandoned(kept)

    def _sweep(self) -> None:
        self.store.tidy_leases()
        old = time.time() - _HALF_MADE
        for pattern in (".new-*", ".gone-*"):
            for path in self.paths.containers.glob(pattern):
                with suppress(FileNotFoundError):
                    if path.stat().st_ctime < old:
                        remove_rest(path)
        remove_strays(self.paths.runtime / "k", before=old)
