"""``run true``: what a container costs, without and with the command line; against docker where it is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from .measure import Row, compare, once
from .setup import HOME, Bench, clock, docker_image, has_docker


def rows() -> Iterator[Row]:
    from jupyter_containers.image.store import Store
    from jupyter_containers.paths import Paths
    from jupyter_containers.runtime.base import ContainerConfig
    from jupyter_containers.runtime.bundled import BundledRuntime

    with Bench() as bench:
        name = bench.environment("bench-python", pip=())
        paths = Paths(HOME, HOME / "run").made()
        store = Store(paths.store)
        runtime = BundledRuntime(paths, store)
        digest = store.image(name).digest
        config = ContainerConfig(image=digest, argv=("/bin/true",), die_with_parent=True, remove=True)

        def ours() -> float:
            start = time.perf_counter()
            container = runtime.create(config)
            container.start()
            container.wait()  # it returns when the container has been removed
            return time.perf_counter() - start

        yield once("`run true`: create, start, wait, remove (the runtime alone)", ours, runs=30, aim="≤ 10 ms")
        help_argv = [sys.executable, "-m", "jupyter_containers", "--help"]
        yield once(
            "`jupyter-containers --help`, whole process",
            lambda: clock(help_argv, env=bench.env),
            runs=10,
            aim="≤ 150 ms",
        )

        def command_line() -> float:
            return clock([sys.executable, "-m", "jupyter_containers", "run", "--rm", name, "true"], env=bench.env)

        if not has_docker():
            yield once(
                "`run --rm ENV true`, whole process", command_line, runs=10, aim="≤ 150 ms", note="no docker here"
            )
            return
        image = docker_image()

        def docker() -> float:
            start = time.perf_counter()
            subprocess.run(["docker", "run", "--rm", "--network=none", image, "true"], check=True, capture_output=True)
            return time.perf_counter() - start

        yield compare(
            "`run --rm ENV true`, whole process", command_line, docker, peer_name="docker run", runs=10, aim="≤ 150 ms"
        )
