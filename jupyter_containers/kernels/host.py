"""What this process runs containers with: opened once, at the first kernel and not when a kernelspec is looked at."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..paths import Paths

if TYPE_CHECKING:
    from ..image.store import Store
    from ..runtime.base import Runtime

__all__ = ["Host", "current_host"]


@dataclass(frozen=True)
class Host:
    paths: Paths
    store: Store
    runtime: Runtime


_hosts: dict[tuple[int, Paths], Host] = {}
_guard = threading.Lock()


def current_host() -> Host:
    """The host of the folders that the environment names now; one per process (a runtime may own threads)."""
    paths = Paths.current()
    key = (os.getpid(), paths)
    with _guard:
        found = _hosts.get(key)
        if found is None:
            from ..image.store import Store
            from ..runtime.bundled import BundledRuntime

            store = Store(paths.store)
            found = _hosts[key] = Host(paths, store, BundledRuntime(paths, store))
        return found
