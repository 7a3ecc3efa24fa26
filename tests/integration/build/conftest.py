"""Projects for real builds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jupyter_containers.errors import NotFoundError
from jupyter_containers.image.model import Image
from jupyter_containers.paths import Paths
from jupyter_containers.sandbox import process
from jupyter_containers.sandbox.model import Overlay, Sandbox
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
        with suppress(NotFoundError):
            forget(shared_home, name)


@pytest.fixture(scope="session")
def run() -> Callable[..., str]:
    """``run(image, paths, *argv, filter=…, check=…)``: the output of a command in an image."""

    def start(image: Image, paths: Paths, *argv: str, filter: str = "container", check: bool = True) -> str:
        output = bytearray()
        identity = 1000 if filter == "container" else 0
        sandbox = Sandbox(
            argv=argv, root=Overlay(image.layer_paths), store=paths.store, env=image.config.execution.environment,
            filter=filter, uid=identity, gid=identity,
        )  # fmt: skip
        code = process.run(sandbox, on_output=output.extend, timeout=60)
        assert code == 0 or not check, output.decode()
        return output.decode()

    return start
