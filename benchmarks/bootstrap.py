"""A Debian tree with Python from nothing but cached .debs: our bootstrap against mmdebstrap."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .measure import Row, compare, seconds
from .setup import Bench, mirror

ARCHIVES = "var/cache/apt/archives"


def rows() -> Iterator[Row]:
    with Bench() as bench:
        spec = bench.spec("bench-bootstrap")
        bench.cli("build", "--quiet", str(spec))  # fills the cache of .debs and writes the lock
        if not shutil.which("mmdebstrap") or os.geteuid():
            start = time.perf_counter()
            _ours(bench, spec)
            yield Row(
                "bootstrap debian:trixie",
                seconds(time.perf_counter() - start),
                "",
                None,
                "≤ 0.6",
                "no mmdebstrap, or not root",
            )
            return
        with tempfile.TemporaryDirectory() as cache:
            debs = Path(cache) / "archives"
            yield compare(
                "bootstrap debian:trixie with Python, .debs cached on both sides",
                lambda: _ours(bench, spec),
                lambda: _mmdebstrap(bench, debs),
                peer_name="mmdebstrap",
                runs=3,
                aim="≤ 0.6",
            )


def _ours(bench: Bench, spec: Path) -> float:
    start = time.perf_counter()
    bench.cli("build", "--quiet", "--no-cache", "--locked", str(spec))
    return time.perf_counter() - start


def _mmdebstrap(bench: Bench, debs: Path) -> float:
    """The same packages, from the mirror's bytes that ours holds in its cache: served by a proxy-less file cache.

    mmdebstrap has no cache of its own; its documented way is to sync /var/cache/apt/archives in and out by hooks.
    """
    debs.mkdir(exist_ok=True)
    packages = "python3,ca-certificates,tzdata"
    target = bench.folder("mmdebstrap") / "tree.tar"
    start = time.perf_counter()
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=apt",
            f"--include={packages}",
            "--skip=essential/unlink",
            f'--setup-hook=mkdir -p "$1/{ARCHIVES}"; cp -n {debs}/*.deb "$1/{ARCHIVES}/" || true',
            f'--customize-hook=cp -n "$1/{ARCHIVES}"/*.deb {debs}/ || true',
            "trixie",
            str(target),
            mirror(),
        ],
        check=True,
        capture_output=True,
    )
    took = time.perf_counter() - start
    target.unlink()
    return took
