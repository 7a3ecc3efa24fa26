"""Two kernels that live at the same time: one in a container, and the same interpreter and packages outside of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .kernel_start import image_layers, install, native_argv, native_env
from .setup import Bench

__all__ = ["pair"]


@contextmanager
def pair(bench: Bench) -> Iterator[tuple[Any, Any]]:
    """Blocking clients, ready to be asked, of ours and of the native one; both end with the block."""
    name = bench.environment(
        "bench-kernel", pip=["ipykernel", "numpy", "pandas"], more='[kernel]\npreload = ["numpy", "pandas"]'
    )
    os.environ |= {key: bench.env[key] for key in ("JUPYTER_CONTAINERS_HOME", "JUPYTER_DATA_DIR")}
    layers = image_layers(name)
    install("bench-native", native_argv(layers), native_env(layers))
    with ExitStack() as stack:
        folder = bench.folder("notebooks")
        yield tuple(stack.enter_context(_running(kernel, folder)) for kernel in (f"jc-{name}", "bench-native"))  # type: ignore[misc]


@contextmanager
def _running(kernel: str, folder: Path) -> Iterator[Any]:
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name=kernel)
    manager.start_kernel(cwd=str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
