"""Building: the packages of examples/ml-intro, a build with nothing to do, one package more; against docker + pip.

Both sides have their downloads on disk: ours its caches, docker a folder of wheels that pip is pointed at. Both start
from a Debian base that is there already. What they made is removed when all is measured: a file system from which ten
thousands of files have just gone is slow at making new ones.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .measure import Row, compare, once, timed
from .setup import HOME, Bench, docker_image, has_docker

RUNS = int(os.environ.get("BENCH_BUILD_RUNS", "2"))
PACKAGES = ("numpy", "pandas", "scikit-learn", "matplotlib", "ipykernel")


def rows() -> Iterator[Row]:
    with Bench() as bench:
        spec = bench.spec("bench-ml", pip=PACKAGES)
        bench.cli("build", "--quiet", str(spec))  # downloads and the lock; not counted
        yield from _against_docker(bench, spec)
        yield once(
            "build with nothing changed, whole process",
            lambda: timed(lambda: bench.cli("build", "--quiet", str(spec))),
            runs=7,
            aim="≤ 200 ms",
        )
        yield once("one package added: resolve, lock, build", lambda: _one_more(bench, spec), runs=3, aim="≤ 3 s")


def _against_docker(bench: Bench, spec: Path) -> Iterator[Row]:
    questions = (
        ("build ml-intro, downloads cached, nothing prepared", False),
        ("build ml-intro again elsewhere, packages prepared", True),
    )
    if not has_docker():
        for question, prepared in questions:
            yield once(
                question,
                lambda prepared=prepared: _ours(bench, spec, prepared=prepared),
                runs=2,
                aim="≤ 0.15",
                note="no docker",
            )
        return
    context = _docker_context(bench)
    images: list[str] = []
    for question, prepared in questions:
        yield compare(
            question,
            lambda prepared=prepared: _ours(bench, spec, prepared=prepared),
            lambda: _docker(context, images),
            peer_name="docker build + pip",
            runs=RUNS,
            warmup=0,
            aim="≤ 0.15",
        )
    subprocess.run(["docker", "rmi", *dict.fromkeys(images)], check=True, capture_output=True)


def _ours(bench: Bench, spec: Path, *, prepared: bool) -> float:
    """In a new home that has the caches and the base, and no other layer."""
    home = Path(tempfile.mkdtemp(prefix="fresh-", dir=bench.near(HOME)))
    env = bench.env | {"JUPYTER_CONTAINERS_HOME": str(home), "JUPYTER_DATA_DIR": str(home / "jupyter")}
    (home / "store").mkdir(parents=True, mode=0o700)
    subprocess.run(["cp", "-al", str(HOME / "store/cache"), str(home / "store/cache")], check=True)
    wheels = home / "store/cache/wheels"
    if not prepared:
        wheels.rename(home / "all-wheels")
    bench.cli("build", "--quiet", str(bench.spec("bench-python")), env=env)
    if not prepared:
        wheels.rename(home / "wheels-of-the-base")
    return timed(lambda: bench.cli("build", "--quiet", "--locked", str(spec), env=env))


def _docker_context(bench: Bench) -> Path:
    context = bench.folder("context")
    wheels = context / "wheels"
    image = docker_image()
    # The host's certificates: a network may have an authority of its own.
    certificates = ["-v", "/etc/ssl/certs:/etc/ssl/certs:ro", "-e", "PIP_CERT=/etc/ssl/certs/ca-certificates.crt"]
    argv = ["docker", "run", "--rm", "--network=host", "-v", f"{wheels}:/wheels", *certificates, image]
    subprocess.run([*argv, "pip", "download", "-q", "-d", "/wheels", *PACKAGES], check=True, capture_output=True)
    (context / "Dockerfile").write_text(
        f"FROM {image}\nCOPY wheels /wheels\n"
        "RUN python3 -m venv /opt/venv && "
        f"/opt/venv/bin/pip install -q --no-index --find-links /wheels {' '.join(PACKAGES)}\n"
    )
    return context


def _docker(context: Path, images: list[str]) -> float:
    argv = ["docker", "build", "-q", "--no-cache", "--network=none", str(context)]
    start = time.perf_counter()
    image = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    images.append(image)
    return time.perf_counter() - start


_EXTRA = iter(("tabulate", "humanize", "toolz", "more-itertools", "sortedcontainers", "cachetools"))


def _one_more(bench: Bench, spec: Path) -> float:
    added = bench.spec("bench-ml-more", pip=PACKAGES)
    bench.cli("build", "--quiet", str(added))
    bench.spec("bench-ml-more", pip=(*PACKAGES, next(_EXTRA)))
    return timed(lambda: bench.cli("build", "--quiet", str(added)))
