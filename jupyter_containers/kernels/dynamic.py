"""Environments in the launcher without any install: a mixin for whatever KernelSpecManager a server uses.

::

    class Manager(ContainerKernelSpecMixin, KernelSpecManager): ...

Besides what is installed it offers ``jc-<name>`` for every environment in the catalog and for every spec in the
server's root folder or in a folder directly in it, built or not: the first kernel's start builds. An installed
kernelspec of that name, and one of the super class's, comes first.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from traitlets import Bool, HasTraits

from ..errors import ContainersError
from ..paths import Paths
from ..spec.catalog import Record, list_records
from .kernelspec import PREFIX, RESOURCES, kernelspec_name, make_kernelspec
from .options import KernelOptions

__all__ = ["ContainerKernelSpecMixin", "find_dynamic"]

SPEC_FILE = "jupyter-container.toml"

MOST_FOLDERS = 500
"""Looked into below a root folder; a launcher waits for the answer."""

FRESH = 2.0
"""Seconds for which an answer is used again: a page load asks for all kernelspecs several times."""


def find_dynamic(paths: Paths, root: Path | None) -> dict[str, tuple[Record, KernelOptions]]:
    """By kernelspec name: what the catalog and the folder *root* offer. Specs that can't be read are left out here;
    ``jupyter containers explain`` tells what is wrong with them."""
    found: dict[str, tuple[Record, KernelOptions]] = {}
    for entry in list_records(paths):
        found[kernelspec_name(entry.name)] = (entry, KernelOptions(environment=entry.name))
    for folder in _spec_folders(root) if root is not None else ():
        offer = _read_folder(folder)
        if offer is not None:
            found.setdefault(kernelspec_name(offer.name), (offer, KernelOptions(spec_file=str(folder))))
    return found


class ContainerKernelSpecMixin(HasTraits):  # a trait of a plain class has no name
    """Goes in front of a subclass of :class:`jupyter_client.kernelspec.KernelSpecManager`."""

    dynamic_environments = Bool(
        True, config=True, help="Offer every environment, and every spec in the root folder, without an install."
    )

    _dynamic: tuple[float, dict[str, tuple[Record, KernelOptions]]] = (-FRESH, {})

    def find_kernel_specs(self) -> dict[str, str]:
        found: dict[str, str] = super().find_kernel_specs()  # type: ignore[misc]
        allowed = getattr(self, "allowed_kernelspecs", None)
        for name in self._find_dynamic():
            if not allowed or name in allowed:
                found.setdefault(name, str(RESOURCES))
        return found

    def get_kernel_spec(self, kernel_name: str) -> Any:
        from jupyter_client.kernelspec import NoSuchKernel

        try:
            return super().get_kernel_spec(kernel_name)  # type: ignore[misc]
        except NoSuchKernel:
            name = kernel_name.lower()
            offer = self._find_dynamic().get(name) if name.startswith(PREFIX) else None
            allowed = getattr(self, "allowed_kernelspecs", None)
            if offer is None or (allowed and name not in allowed):
                raise
            kind = self.kernel_spec_class  # type: ignore[attr-defined]
            return kind(resource_dir=str(RESOURCES), **make_kernelspec(*offer))

    def _find_dynamic(self) -> dict[str, tuple[Record, KernelOptions]]:
        if not self.dynamic_environments:
            return {}
        now = time.monotonic()
        if now - self._dynamic[0] >= FRESH:
            root = getattr(getattr(self, "parent", None), "root_dir", "")
            self._dynamic = (now, find_dynamic(Paths.current(), Path(root) if root else None))
        return self._dynamic[1]


def _spec_folders(root: Path) -> list[Path]:
    folders = [root] if (root / SPEC_FILE).is_file() else []
    try:
        with os.scandir(root) as entries:
            for count, entry in enumerate(entries):
                if count >= MOST_FOLDERS:
                    break
                if not entry.name.startswith(".") and entry.is_dir() and Path(entry.path, SPEC_FILE).is_file():
                    folders.append(Path(entry.path))
    except OSError:
        pass  # a root folder that can't be listed offers nothing
    return sorted(folders)


_read_before: dict[Path, tuple[int, Record | None]] = {}


def _read_folder(folder: Path) -> Record | None:
    """The record that the spec in *folder* would have, read once as long as the file stays the same."""
    try:
        changed = (folder / SPEC_FILE).stat().st_mtime_ns
    except OSError:
        return None
    known = _read_before.get(folder)
    if known is None or known[0] != changed:
        from ..spec.load import load_spec

        try:
            spec = load_spec(folder).spec
            entry = Record(
                name=spec.name, display_name=spec.display_name, language=spec.kernel.language, spec_file=str(folder)
            )
        except ContainersError:
            entry = None
        known = _read_before[folder] = (changed, entry)
    return known[1]
