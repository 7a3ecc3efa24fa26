"""A kernel: from its launch to the reply to its first cell, in a container and outside of it.

The native kernel is the image's own interpreter with the image's own packages, started from the store's files without a
container: what differs is the container and nothing else. Both go through jupyter_client's KernelManager.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .engines import engines
from .measure import Row, compare
from .setup import HOME, Bench

RUNS = int(os.environ.get("BENCH_KERNEL_RUNS", "15"))
STACKS = (
    ("bench-kernel", ("numpy", "pandas"), ("1 + 1", "import numpy, pandas")),
    ("bench-kernel-learn", ("numpy", "pandas", "scikit-learn"), ("import numpy, pandas, sklearn.ensemble",)),
)
"""Environment, its packages beside ipykernel, and the first cells."""


def rows() -> Iterator[Row]:
    with Bench() as bench:
        os.environ |= {key: bench.env[key] for key in ("JUPYTER_CONTAINERS_HOME", "JUPYTER_DATA_DIR")}
        folder = bench.folder("notebooks")
        for environment, packages, cells in STACKS:
            preload = cells[-1].removeprefix("import ").split(", ")
            name = bench.environment(
                environment, pip=["ipykernel", *packages], more=f"[kernel]\npreload = {json.dumps(preload)}"
            )
            layers = image_layers(name)
            install("bench-native", native_argv(layers), native_env(layers))
            yield from _against_native(f"jc-{name}", "kernel", cells, folder)
            warm = bench.warm_kernelspec(name)
            first_reply(warm, folder, "1 + 1")  # the process to fork from gets ready
            yield from _against_native(warm, "forked kernel (`warm`)", cells, folder)
            if environment == STACKS[0][0]:
                yield from _against_engines(bench, f"jc-{name}", layers, folder)


def _against_native(kernel: str, what: str, cells: Sequence[str], folder: Path) -> Iterator[Row]:
    forked = kernel.endswith("-warm")
    for cell in cells:
        imports = cell.startswith("import")
        yield compare(
            f"{what}: launch → reply to `{cell}`",
            lambda cell=cell: first_reply(kernel, folder, cell),
            lambda cell=cell: first_reply("bench-native", folder, cell),
            peer_name="native", runs=RUNS, aim="≤ 1.05" if not forked else "≤ 0.09" if imports else "≤ 0.15",
            note="they are preloaded" if forked and imports else "",
        )  # fmt: skip


def _against_engines(bench: Bench, kernel: str, layers: tuple[Path, ...], folder: Path) -> Iterator[Row]:
    question = "kernel: launch → reply to `1 + 1`"
    for name, argv, why in engines(bench, layers):
        if argv is None:
            yield Row(question, "", name, None, "", f"it runs nothing here: {why}")
            continue
        install("bench-engine", argv, {})
        yield compare(
            question,
            lambda: first_reply(kernel, folder, "1 + 1"),
            lambda: first_reply("bench-engine", folder, "1 + 1"),
            peer_name=name,
            runs=5,
        )


def first_reply(kernel: str, folder: Path, code: str) -> float:
    """Seconds from the launch of *kernel* until the reply to *code*, its first cell."""
    from jupyter_client.manager import KernelManager

    start = time.perf_counter()
    manager = KernelManager(kernel_name=kernel)
    manager.start_kernel(cwd=str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    request = client.execute(code)
    while True:
        reply = client.get_shell_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == request:
            break
    seconds = time.perf_counter() - start
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    if reply["content"]["status"] != "ok":
        raise SystemExit(f"{kernel}: {reply['content']}")
    return seconds


def image_layers(name: str) -> tuple[Path, ...]:
    from jupyter_containers.image.store import Store

    return Store(HOME / "store").image(name).layer_paths


def native_argv(layers: tuple[Path, ...]) -> list[str]:
    """The image's interpreter by its own loader, which takes the image's C library and not the host's."""
    base = layers[0]
    loader = next(iter(base.glob("usr/lib*/ld-linux-*.so.*")), None) or next(base.glob("usr/lib/*/ld-linux-*.so.*"))
    libraries = next(base.glob("usr/lib/*-linux-gnu"))
    python = (base / "usr/bin/python3").resolve()
    command = [str(loader), "--library-path", str(libraries), str(base / "usr/bin" / python.name)]
    return [*command, "-m", "ipykernel_launcher", "-f", "{connection_file}"]


def native_env(layers: tuple[Path, ...]) -> dict[str, str]:
    packages = next(layers[-1].glob("opt/venv/lib/python3*/site-packages"))
    return {"PYTHONHOME": str(layers[0] / "usr"), "PYTHONPATH": str(packages), "PYTHONNOUSERSITE": "1"}


def install(name: str, argv: list[str], env: dict[str, str]) -> None:
    folder = Path(os.environ["JUPYTER_DATA_DIR"]) / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    spec = {"argv": argv, "env": env, "display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
