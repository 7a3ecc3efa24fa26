"""How costs grow: a container's start with the image's layers, a list with the environments, a build with the packages.

What grows with the number of kernels is asked in ``thousand.py``.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .measure import Row, seconds, timed
from .plot import Curve, draw
from .setup import HOME, Bench

LAYERS = (1, 25, 50, 100, 200)
ENVIRONMENTS = (1, 25, 50, 100)
# Small, of one wheel each, and of no dependency.
PACKAGES = (
    "six", "attrs", "certifi", "chardet", "click", "colorama", "decorator", "filelock", "humanize", "idna", "iniconfig",
    "itsdangerous", "markupsafe", "mdurl", "more-itertools", "networkx", "packaging", "platformdirs", "pluggy",
    "psutil", "ptyprocess", "pycparser", "pygments", "pyparsing", "python-slugify", "pytz", "pyyaml", "regex",
    "simplejson", "sortedcontainers", "soupsieve", "sqlparse", "tabulate", "threadpoolctl", "tomli", "toolz", "tqdm",
    "tzdata", "wcwidth", "webencodings", "wrapt", "xxhash", "zipp",
)  # fmt: skip
COUNTS_OF_PACKAGES = (1, 10, 20, 30, len(PACKAGES))


def rows() -> Iterator[Row]:
    with Bench() as bench:
        curves = [_layers(bench), _environments(bench), _packages(bench)]
        draw("growth", curves)
        for curve in curves:
            yield Row(
                f"{curve.title.lower()}: {curve.counts[-1]} {curve.of} against {curve.counts[0]}",
                seconds(curve.values[-1] / 1000),
                f"{seconds(curve.values[0] / 1000)} with {curve.counts[0]}",
                curve.values[-1] / curve.values[0],
                note="; ".join(
                    f"{count}: {seconds(value / 1000)}" for count, value in zip(curve.counts, curve.values, strict=True)
                ),
            )


def _layers(bench: Bench) -> Curve:
    from jupyter_containers.image.store import Store
    from jupyter_containers.paths import Paths
    from jupyter_containers.runtime.base import ContainerConfig
    from jupyter_containers.runtime.bundled import BundledRuntime

    base = bench.environment("bench-python")
    paths = Paths(HOME, HOME / "run").made()
    store = Store(paths.store)
    runtime = BundledRuntime(paths, store)
    found = []
    for count in LAYERS:
        name = f"bench-{count}-layers"
        context = bench.folder(name)
        (context / "Dockerfile").write_text(
            f"FROM {base}\n" + "".join(f"COPY {number} /data/\n" for number in range(count))
        )
        for number in range(count):
            (context / str(number)).write_text(str(number))
        bench.cli("build", "--quiet", "-f", str(context / "Dockerfile"), "-t", name, str(context))
        config = ContainerConfig(image=store.image(name).digest, argv=("/bin/true",), remove=True, die_with_parent=True)

        def start(config: ContainerConfig = config) -> None:
            container = runtime.create(config)
            container.start()
            container.wait()

        found.append(_median(lambda start=start: timed(start), runs=15))
    return Curve("Container: start to end", "layers", "ms", LAYERS, found)


def _environments(bench: Bench) -> Curve:
    """Of a home with nothing else: the environments are there by a record and an image each."""
    found = []
    with tempfile.TemporaryDirectory(prefix="many-", dir=bench.near(HOME)) as folder:
        env = bench.env | {"JUPYTER_CONTAINERS_HOME": folder, "JUPYTER_DATA_DIR": f"{folder}/jupyter"}
        (Path(folder) / "store").mkdir(mode=0o700)
        subprocess.run(["cp", "-al", str(HOME / "store/cache"), f"{folder}/store/cache"], check=True)
        made = 0
        for count in ENVIRONMENTS:
            for number in range(made, count):
                place = Path(folder) / "specs" / str(number)
                place.mkdir(parents=True)
                (place / "jupyter-container.toml").write_text(
                    f'name = "many-{number}"\nbuild.env = {{ N = "{number}" }}\n'
                )
                bench.cli("build", "--quiet", str(place), env=env)
            made = count
            found.append(_median(lambda: timed(lambda: bench.cli("env", "list", "--json", env=env)), runs=7))
    return Curve("Environments: list", "environments", "ms", ENVIRONMENTS, found)


def _packages(bench: Bench) -> Curve:
    """In a new home each, whose caches hold the downloads and the unpacked wheels."""
    found = []
    for count in COUNTS_OF_PACKAGES:
        spec = bench.spec(f"bench-{count}-packages", pip=PACKAGES[:count])
        bench.cli("build", "--quiet", str(spec))
        found.append(_median(lambda spec=spec: _build(bench, spec), runs=2))
    return Curve("Build: packages prepared", "packages", "ms", COUNTS_OF_PACKAGES, found)


def _build(bench: Bench, spec: Path) -> float:
    with tempfile.TemporaryDirectory(prefix="fresh-", dir=bench.near(HOME)) as home:
        env = bench.env | {"JUPYTER_CONTAINERS_HOME": home, "JUPYTER_DATA_DIR": f"{home}/jupyter"}
        (Path(home) / "store").mkdir(mode=0o700)
        subprocess.run(["cp", "-al", str(HOME / "store/cache"), f"{home}/store/cache"], check=True)
        bench.cli("build", "--quiet", str(bench.spec("bench-python")), env=env)
        return timed(lambda: bench.cli("build", "--quiet", "--locked", str(spec), env=env))


def _median(work: Callable[[], float], *, runs: int) -> float:
    """Milliseconds."""
    work()
    return statistics.median(work() for _ in range(runs)) * 1000
