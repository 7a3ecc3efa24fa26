"""The same Dockerfile built cold, with its last step changed, and with nothing changed; against buildah and docker.

All start from one base image that each has already. The context is 2,000 small files; the steps copy, run a Python
program, a shell loop, remove and write.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from .measure import Row, compare, once
from .setup import Bench, clock, has_docker

RUNS = int(os.environ.get("BENCH_BUILD_RUNS", "3"))
WITHIN = 30.0
"""Seconds of one question after which no further pair is begun."""
BASE = "bench-dockerfile-base:1"
FILES = 2000
DOCKERFILE = """\
FROM {base}
USER 0
ENV PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8
WORKDIR /srv
COPY tree tree
RUN python -m compileall -q tree
RUN for number in $(seq 200); do echo "$number" > "file$number"; done && rm -r tree/0
COPY --chown=1000:1000 tree/1 owned
LABEL version={version}
RUN echo {version} > version
CMD ["cat", "version"]
"""

Build = Callable[[str, bool], float]
"""Seconds of one build of a Dockerfile's text, with the cache or without."""


def rows() -> Iterator[Row]:
    with Bench() as bench:
        context = _context(bench)
        ours = _ours(bench, context)
        peers = dict(_peers(bench, context))
        changed = itertools.count()
        questions: tuple[tuple[str, Callable[[], str], bool], ...] = (
            ("build a Dockerfile, cold", lambda: _text("0"), False),
            ("build a Dockerfile, last steps changed", lambda: _text(f"c{next(changed)}"), True),
            ("build a Dockerfile, nothing changed", lambda: _text("0"), True),
        )
        for question, text, cached in questions:
            for name, theirs in peers.items():
                yield compare(
                    question,
                    lambda text=text, cached=cached: ours(text(), cached),
                    lambda text=text, cached=cached, theirs=theirs: theirs(text(), cached),
                    peer_name=name,
                    runs=RUNS,
                    within=WITHIN,
                    aim="≤ 1",
                )
            if not peers:
                yield once(
                    question, lambda text=text, cached=cached: ours(text(), cached), note="no docker, no buildah"
                )


def _text(version: str) -> str:
    return DOCKERFILE.format(base=BASE, version=version)


def _context(bench: Bench) -> Path:
    context = bench.folder("dockerfile")
    chance = random.Random(0)
    for number in range(FILES):
        path = context / f"tree/{number % 20}/module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        names = [f"value{index} = {chance.random()}" for index in range(chance.randint(20, 200))]
        path.write_text("\n".join(names) + "\n")
    return context


def _ours(bench: Bench, context: Path) -> Build:
    bench.cli("tag", bench.environment("bench-python"), BASE)

    def build(text: str, cached: bool) -> float:
        (context / "Dockerfile").write_text(text)
        options = [] if cached else ["--no-cache"]
        argv = ["build", "--quiet", *options, "-t", "bench-dockerfile", "-f", str(context / "Dockerfile"), str(context)]
        return clock([sys.executable, "-m", "jupyter_containers", *argv], env=bench.env)

    return build


def _peers(bench: Bench, context: Path) -> Iterator[tuple[str, Build]]:
    if shutil.which("buildah") and os.geteuid() == 0:
        archive = bench.folder("work") / "base.tar"
        bench.cli("save", BASE, "-o", str(archive))
        stores = [f"--root={bench.folder('buildah')}", f"--runroot={bench.folder('buildah-run')}"]
        subprocess.run(["buildah", *stores, "pull", f"oci-archive:{archive}"], check=True, capture_output=True)

        def buildah(text: str, cached: bool) -> float:
            (context / "Dockerfile").write_text(text.replace(BASE, f"localhost/{BASE}"))
            options = ["--layers"] if cached else ["--layers", "--no-cache"]
            argv = ["buildah", *stores, "bud", "--isolation=chroot", *options, "-q", "-t", "bench", str(context)]
            return clock(argv)

        yield "buildah", buildah
    if has_docker():
        archive = bench.folder("work") / "docker.tar"
        bench.cli("save", BASE, "-o", str(archive), "--format", "docker-archive")
        subprocess.run(["docker", "load", "-i", str(archive)], check=True, capture_output=True)

        def docker(text: str, cached: bool) -> float:
            (context / "Dockerfile").write_text(text)
            options = [] if cached else ["--no-cache"]
            argv = ["docker", "build", "-q", "--network=none", *options, "-t", "bench-dockerfile", str(context)]
            return clock(argv, env=os.environ | {"DOCKER_BUILDKIT": "0"})

        yield "docker", docker
