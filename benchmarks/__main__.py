"""``python -m benchmarks [--count N] [NAME ...]``: runs them (default: all) and rewrites docs/benchmarks.md.

The rows of each are kept beside the benchmarks' home, so that one that is run again replaces its own rows only.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from .measure import Row, table
from .plot import FOLDER
from .setup import HOME

# Quick ones first: what they leave in the caches does not help the slow ones.
NAMES = (
    "run_true", "cpu_and_io", "bootstrap", "build", "dockerfile", "disk", "ship", "kernel_start", "round_trip",
    "output", "injected_kernel", "growth", "thousand", "panel", "soak",
)  # fmt: skip
ASKED = {"soak"}
"""Only where they are named: there is no end to them."""
RESULTS = HOME / "results"
TITLES = {"thousand": "Many kernels of one environment, against their number"}
ORDINARY = 1000
"""Kernels of `thousand`: runs with more have rows and a picture of their own, runs with fewer are trials."""
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main(arguments: list[str]) -> int:
    RESULTS.mkdir(parents=True, exist_ok=True)
    parser = argparse.ArgumentParser(prog="benchmarks", description="See docs/benchmarks.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--count", type=int, metavar="N", help="kernels that `thousand` (1000) or `soak` (200) starts")
    options = parser.parse_args(arguments)
    if options.count:
        os.environ["BENCH_KERNELS"] = str(options.count)
    if unknown := sorted(set(options.names) - set(NAMES)):
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    for name in options.names or [name for name in NAMES if name not in ASKED]:
        module = importlib.import_module(f".{name}", __package__)
        print(f"== {module.__doc__.splitlines()[0]}", flush=True)
        found = list(module.rows())
        print(table(found), flush=True)
        file = RESULTS / f"{name}.json"
        if name == "thousand" and options.count and options.count != ORDINARY:
            if options.count < ORDINARY:
                continue  # a trial
            file = file.with_stem(f"{name}-{options.count}")
        file.write_text(json.dumps([asdict(row) for row in found]))
    kept = [file for name in NAMES for file in (RESULTS / f"{name}.json", *sorted(RESULTS.glob(f"{name}-*.json")))]
    PAGE.write_text(_page([Row(**row) for file in kept if file.exists() for row in json.loads(file.read_text())]))
    print(f"wrote {PAGE}")
    return 0


def _page(rows: list[Row]) -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    machine = (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs, {memory} GiB of memory, "
        f"Linux {platform.release().split('-')[0]}, CPython {platform.python_version()}, "
        f"{'as root' if os.geteuid() == 0 else 'as an ordinary user'}"
    )
    pictures = "".join(f"![{_title(file.stem)}](images/benchmarks/{file.name})\n\n"
                       for file in sorted(FOLDER.glob("*.svg")))  # fmt: skip
    return f"""# Benchmarks

Written by `scripts/bench`; run it on your own machine, its figures count for you. Each row compares two sides in one
run, in turns; the ratio is the median over the pairs (ours / peer, under 1 is quicker than the peer).

This table: {machine}.

{table(rows)}

{pictures}A peer that is missing on a machine (docker, mmdebstrap) leaves its rows out; the row's last column says so.
"""


def _title(picture: str) -> str:
    name, _, count = picture.partition("-")
    return TITLES.get(name, picture) + (f", up to {count}" if count else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
