"""Shipping an image of 1 GB: push, pull, save and load, against skopeo and podman, and the memory it takes."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .measure import Row, compare
from .setup import HOME, Bench, clock

NAME = "bench-ship:1"
LAYERS, FILES, FILE_SIZE = 6, 1700, 100_000
"""1.02 GB in 10 200 files, of which gzip leaves half: about what a scientific image is made of."""
RUNS = 3
WITHIN = 14.0
"""Seconds of one question after which no further pair is begun: all eight of them take four minutes on two cores."""


def rows() -> Iterator[Row]:
    if shutil.which("skopeo") is None or shutil.which("docker-registry") is None:
        yield Row("push, pull, save, load of 1 GB", "", "", None, "≤ 1", "needs skopeo and docker-registry")
        return
    with Bench() as bench:
        memory: dict[str, int] = {}
        make_image()
        plain = bench.folder("work") / "plain"
        bench.cli("save", NAME, "-o", str(plain), "--format", "oci", "--compression", "none")
        yield _push(bench, plain, memory)
        yield _pull(bench, memory)
        yield _save(bench, plain, memory)
        yield _load(bench, memory)
        if shutil.which("podman") and os.geteuid() == 0:
            yield from _against_podman(bench, memory)
        worst = max(memory, key=lambda key: memory[key])
        yield Row(
            "peak memory of these", f"{memory[worst] / 1e6:.0f} MB", "", None, "≤ 200 MB",
            ", ".join(f"{name} {size / 1e6:.0f}" for name, size in memory.items()),
        )  # fmt: skip


def make_image() -> None:
    """In the kept home, once."""
    from jupyter_containers.errors import NotFoundError
    from jupyter_containers.image.layout import host_architecture
    from jupyter_containers.image.model import ImageConfig
    from jupyter_containers.image.store import Store

    HOME.mkdir(parents=True, exist_ok=True)
    store = Store(HOME / "store")
    try:
        store.image(NAME)
        return
    except NotFoundError:
        pass
    chance = random.Random(0)
    words = [chance.randbytes(chance.randint(2, 9)).hex() for _ in range(4000)]
    layers = []
    with store.lease():
        for number in range(LAYERS):
            with store.staging() as staging:
                for index in range(FILES):
                    path = staging.fs / f"opt/layer{number}/{index % 40}/file{index}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    text = " ".join(chance.choices(words, k=FILE_SIZE // 20)).encode()
                    content = chance.randbytes(FILE_SIZE // 3) + text
                    path.write_bytes(content[:FILE_SIZE].ljust(FILE_SIZE, b"\n"))
                layers.append(store.commit_layer(staging.fs, created_by=f"layer {number}"))
        image = store.put_image(ImageConfig(architecture=host_architecture()), layers)
        store.tag(NAME, image.digest)


def _push(bench: Bench, plain: Path, memory: dict[str, int]) -> Row:
    def ours() -> float:
        with registry() as host:
            return run(bench, memory, "push", "push", NAME, f"{host}/ours:1")

    def peer() -> float:
        with registry() as host:
            return clock(skopeo("copy", "--dest-tls-verify=false", f"oci:{plain}:{NAME}", f"docker://{host}/peer:1"))

    return compare(
        "push 1 GB, compressed on the way", ours, peer, peer_name="skopeo", runs=RUNS, warmup=0, within=WITHIN,
        aim="≤ 1",
        note="both with gzip on all cores, to a registry that has nothing",
    )  # fmt: skip


def _pull(bench: Bench, memory: dict[str, int]) -> Row:
    with registry() as host:
        source = f"{host}/image:1"
        bench.cli("push", NAME, source)
        unpacks = shutil.which("umoci") is not None

        def ours() -> float:
            with scratch(bench) as folder:
                env = bench.env | {"JUPYTER_CONTAINERS_HOME": str(folder / "home")}
                return run(bench, memory, "pull", "pull", source, env=env)

        def peer() -> float:
            with scratch(bench) as folder:
                took = clock(skopeo("copy", "--src-tls-verify=false", f"docker://{source}", f"oci:{folder}/image:1"))
                if unpacks:
                    rootless = [] if os.geteuid() == 0 else ["--rootless"]
                    took += clock(["umoci", "unpack", *rootless, "--image", f"{folder}/image:1", f"{folder}/bundle"])
                return took

        name = "skopeo copy, umoci unpack" if unpacks else "skopeo copy"
        note = "ours unpacks each layer, checks it and makes it durable" + (
            "" if unpacks else "; the peer does not unpack"
        )
        return compare(
            "pull 1 GB", ours, peer, peer_name=name, runs=RUNS, warmup=0, within=WITHIN, aim="≤ 1", note=note
        )


def _save(bench: Bench, plain: Path, memory: dict[str, int]) -> Row:
    def ours() -> float:
        with scratch(bench) as folder:
            return run(bench, memory, "save", "save", NAME, "-o", str(folder / "image.tar"))

    def peer() -> float:
        with scratch(bench) as folder:
            return clock(skopeo("copy", f"oci:{plain}:{NAME}", f"oci-archive:{folder}/image.tar:x:1"))

    return compare(
        "save 1 GB as an OCI archive", ours, peer, peer_name="skopeo", runs=RUNS, warmup=0, within=WITHIN, aim="≤ 1",
        note="both with gzip on all cores",
    )  # fmt: skip


def _load(bench: Bench, memory: dict[str, int]) -> Row:
    archive = _archive(bench)
    unpacks = shutil.which("umoci") is not None

    def ours() -> float:
        with scratch(bench) as inner:
            env = bench.env | {"JUPYTER_CONTAINERS_HOME": str(inner / "home")}
            return run(bench, memory, "load", "load", "-i", str(archive), env=env)

    def peer() -> float:
        with scratch(bench) as inner:
            took = clock(skopeo("copy", f"oci-archive:{archive}", f"oci:{inner}/image:1"))
            if unpacks:
                rootless = [] if os.geteuid() == 0 else ["--rootless"]
                took += clock(["umoci", "unpack", *rootless, "--image", f"{inner}/image:1", f"{inner}/bundle"])
            return took

    name = "skopeo copy, umoci unpack" if unpacks else "skopeo copy"
    return compare(
        "load 1 GB from an OCI archive", ours, peer, peer_name=name, runs=RUNS, warmup=0, within=WITHIN, aim="≤ 1"
    )


def _against_podman(bench: Bench, memory: dict[str, int]) -> Iterator[Row]:
    """podman keeps unpacked layers as we do; its store lies beside ours."""
    base = bench.folder("podman")

    def podman(store: Path, *argv: str) -> float:
        return clock(["podman", f"--root={store}/store", f"--runroot={store}/run", *argv])

    podman(base, "load", "-i", str(_archive(bench)))
    subprocess.run(
        ["podman", f"--root={base}/store", f"--runroot={base}/run", "tag", f"localhost/{NAME}", "bench:1"],
        check=True, capture_output=True,
    )  # fmt: skip

    def saved(work: Callable[[Path], float]) -> Callable[[], float]:
        def once() -> float:
            with scratch(bench) as folder:
                return work(folder)

        return once

    def ours_in(folder: Path, *argv: str) -> float:
        return run(bench, memory, argv[0], *argv, env=bench.env | {"JUPYTER_CONTAINERS_HOME": str(folder / "home")})

    def pushed(work: Callable[[str], float]) -> Callable[[], float]:
        def once() -> float:
            with registry() as host:
                return work(host)

        return once

    with registry() as host:
        source = f"{host}/image:1"
        bench.cli("push", NAME, source)
        pairs: tuple[tuple[str, Callable[[], float], Callable[[], float]], ...] = (
            (
                "push 1 GB, compressed on the way",
                pushed(lambda host: run(bench, memory, "push", "push", NAME, f"{host}/ours:1")),
                pushed(lambda host: podman(base, "push", "--tls-verify=false", "bench:1", f"{host}/peer:1")),
            ),
            (
                "pull 1 GB",
                saved(lambda folder: ours_in(folder, "pull", source)),
                saved(lambda folder: podman(folder, "pull", "--tls-verify=false", source)),
            ),
            (
                "save 1 GB as an OCI archive",
                saved(lambda folder: run(bench, memory, "save", "save", NAME, "-o", str(folder / "image.tar"))),
                saved(
                    lambda folder: podman(base, "save", "--format=oci-archive", f"--output={folder}/i.tar", "bench:1")
                ),
            ),
            (
                "load 1 GB from an OCI archive",
                saved(lambda folder: ours_in(folder, "load", "-i", str(_archive(bench)))),
                saved(lambda folder: podman(folder, "load", "-i", str(_archive(bench)))),
            ),
        )
        for question, ours, peer in pairs:
            yield compare(question, ours, peer, peer_name="podman", runs=RUNS, warmup=0, within=WITHIN, aim="≤ 1")


def _archive(bench: Bench) -> Path:
    archive = bench.folder("work") / "image.tar"
    if not archive.exists():
        bench.cli("save", NAME, "-o", str(archive))
    return archive


def run(bench: Bench, memory: dict[str, int], name: str, *argv: str, env: dict[str, str] | None = None) -> float:
    """Seconds of one of our commands; its peak memory in bytes goes to *memory*."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_containers", *argv], env=env or bench.env, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"jupyter containers {' '.join(argv[:2])} …: {said.decode()}")
    memory[name] = max(memory.get(name, 0), usage.ru_maxrss * 1024)
    return time.perf_counter() - start


def skopeo(*argv: str) -> list[str]:
    return ["skopeo", "--insecure-policy", *argv]


@contextmanager
def scratch(bench: Bench) -> Iterator[Path]:
    """A folder, removed with all that a store leaves in it; its removal is in no figure."""
    from jupyter_containers.image.tree import remove_tree

    folder = Path(tempfile.mkdtemp(dir=bench.folder("work")))
    try:
        yield folder
    finally:
        remove_tree(folder)


@contextmanager
def registry() -> Iterator[str]:
    """An empty docker-registry on a loopback port."""
    with tempfile.TemporaryDirectory(prefix="jc-bench-registry-") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = Path(folder) / "config.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
            f'http: {{addr: "127.0.0.1:{port}"}}\n'
        )
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"localhost:{port}"
        finally:
            process.kill()
            process.wait()
