"""A kernel: from its launch to the reply to its first cell, in a container and outside of it.

The native kernel is the image's own interpreter with the image's own packages, started from the store's files without a
container: what differs is the container and nothing else. Both go through jupyter_client's KernelManager.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from .measure import Row, compare
from .setup import HOME, Bench, has_docker

RUNS = int(os.environ.get("BENCH_KERNEL_RUNS", "15"))
DOCKER_IMAGE = "jupyter-containers-bench/kernel"


def rows() -> Iterator[Row]:
    with Bench() as bench:
        name = bench.environment(
            "bench-kernel", pip=["ipykernel", "numpy", "pandas"], more='[kernel]\npreload = ["numpy", "pandas"]'
        )
        os.environ |= {key: bench.env[key] for key in ("JUPYTER_CONTAINERS_HOME", "JUPYTER_DATA_DIR")}
        folder = bench.folder("notebooks")
        layers = image_layers(name)
        install("bench-native", native_argv(layers), native_env(layers))

        def ours(code: str) -> float:
            return first_reply(f"jc-{name}", folder, code)

        def native(code: str) -> float:
            return first_reply("bench-native", folder, code)

        for title, code in (("`1 + 1`", "1 + 1"), ("`import numpy, pandas`", "import numpy, pandas")):
            yield compare(
                f"kernel: launch → reply to {title}", lambda code=code: ours(code), lambda code=code: native(code),
                peer_name="native", runs=RUNS, aim="≤ 1.05",
            )  # fmt: skip
        warm = bench.warm_kernelspec(name)
        first_reply(warm, folder, "1 + 1")  # the process to fork from gets ready
        for title, code in (("`1 + 1`", "1 + 1"), ("`import numpy, pandas`", "import numpy, pandas")):
            yield compare(
                f"forked kernel (`warm`): launch → reply to {title}",
                lambda code=code: first_reply(warm, folder, code), lambda code=code: native(code),
                peer_name="native", runs=RUNS, aim="≤ 0.15" if code == "1 + 1" else "≤ 0.09",
                note="" if code == "1 + 1" else "numpy and pandas are preloaded",
            )  # fmt: skip
        if has_docker():
            import_image(layers)
            install("bench-docker", docker_argv(), {})
            yield compare(
                "kernel: launch → reply to `1 + 1`", lambda: ours("1 + 1"),
                lambda: first_reply("bench-docker", folder, "1 + 1"), peer_name="docker run", runs=5,
            )  # fmt: skip


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


def docker_argv() -> list[str]:
    """A kernel in docker as one would write it by hand: the connection file mounted, the host's network."""
    kernel = ["/opt/venv/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    mount = ["-v", "{connection_file}:{connection_file}:ro"]
    return ["docker", "run", "--rm", "--init", "--network=host", *mount, DOCKER_IMAGE, *kernel]


def import_image(layers: tuple[Path, ...]) -> None:
    """Give docker the same files."""
    parts = ["-C", str(layers[0]), ".", "-C", str(layers[-1]), "./opt/venv"]  # docker refuses a path that comes twice
    tar = subprocess.Popen(["tar", "-c", *parts], stdout=subprocess.PIPE)
    subprocess.run(["docker", "import", "-", DOCKER_IMAGE], stdin=tar.stdout, check=True, capture_output=True)
    tar.wait()
