"""Projects for real builds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.errors import NotFoundError
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import forget


@pytest.fixture
def project(tmp_path: Path, shared_home: Paths) -> Iterator[Callable[..., Path]]:
    """``project(name, spec, lock=…)`` → a folder whose environment is forgotten at the end; its steps stay."""
    names: list[str] = []

    def make(name: str, spec: str, *, lock: bytes | None = None) -> Path:
        folder = tmp_path / f"project-{name}"
        folder.mkdir(exist_ok=True)
        full = f"test-{name}"
        (folder / "jupyter-container.toml").write_text(f'name = "{full}"\n{spec}')
        if lock is not None:
            (folder / "jupyter-container.lock").write_bytes(lock)
        names.append(full)
        return folder

    yield make
    for name in names:
        try:
            forget(shared_home, name)
        except NotFoundError:
            pass
