"""A kernel that is injected beside an image, against one that was built into an environment.

The same Debian and the same Python on both sides; in the other row an image without a Python, which gets one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from .kernel_start import RUNS, first_reply
from .measure import Row, compare, once, timed
from .setup import Bench


def rows() -> Iterator[Row]:
    with Bench() as bench:
        # Of one Python: what an image is injected with is locked, and the newest that an index has may be another.
        name = bench.environment("bench-built-in", pip=["ipykernel"])
        os.environ |= {key: bench.env[key] for key in ("JUPYTER_CONTAINERS_HOME", "JUPYTER_DATA_DIR")}
        folder = bench.folder("notebooks")
        from jupyter_containers.build.injection.layer import ensure_injection
        from jupyter_containers.environments import Environments
        from jupyter_containers.image.model import ExecutionConfig, Image, ImageConfig

        with Environments() as environments:
            store = environments.store
            built = store.image(name)
            user = built.config.execution.user
            bare = bench.environment("bench-bare", more='python = "none"\n[kernel]\nargv = ["/bin/false", '
                                     '"{connection_file}"]\nlanguage = "none"')  # fmt: skip

            def image(layers: tuple[object, ...], *env: str) -> Image:
                config = ImageConfig(
                    architecture=built.config.architecture, config=ExecutionConfig(user=user, env=env or None)
                )
                return store.put_image(config, layers)  # type: ignore[arg-type]

            injected, brought = image(built.layers[:1]), image(store.image(bare).layers)
            environments.adoption.adopt(injected.digest, "bench-injected")
            environments.adoption.adopt(brought.digest, "bench-brought")

            def own() -> float:
                return first_reply(f"jc-{name}", folder, "1 + 1")

            for title, kernel in (
                ("injected kernel", "bench-injected"),
                ("injected kernel and Python", "bench-brought"),
            ):
                yield compare(
                    f"{title}: launch → reply to `1 + 1`",
                    lambda kernel=kernel: first_reply(f"jc-{kernel}", folder, "1 + 1"), own,
                    peer_name="built in", runs=RUNS, aim="≤ 1.1",
                )  # fmt: skip

            made = iter(range(1_000_000))

            def make() -> float:
                # Another library path makes another layer of the same files.
                other = image(built.layers[:1], f"LD_LIBRARY_PATH=/{os.urandom(4).hex()}-{next(made)}")
                with store.lease([other.digest]):
                    return timed(lambda: ensure_injection(other, name="bench", paths=environments.paths))

            yield once("injected kernel: made for a new image, packages downloaded before", make, runs=3)
