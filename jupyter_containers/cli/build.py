"""``build`` and ``builds``."""

from __future__ import annotations

import argparse
import time

from . import dockerfile
from .base import Command
from .container_options import from_zero
from .output import age, print_json, print_table

__all__ = ["Build", "Builds"]


class Build(Command):
    name = "build"
    summary = "build the image of a spec"
    description = (
        "Resolve the spec where the lock is missing or out of date, build what is not in the store yet, and make the "
        "environment's kernel appear in Jupyter."
    )
    examples = (
        "  jupyter containers build                 the spec of this folder\n"
        "  jupyter containers build --locked        as locked, or not at all\n"
        "  jupyter containers build analysis.ipynb  a notebook that declares its packages\n"
        "  jupyter containers build -f Dockerfile -t thing .   the image of a Dockerfile"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("path", nargs="?", default=".", help="a folder, a file, or the name of an environment")
        parser.add_argument("--name", default="", help="know it by this name from now on, and not by the spec's own")
        parser.add_argument("--locked", action="store_true", help="refuse when the lock does not fit the spec")
        parser.add_argument("--upgrade", action="store_true", help="resolve all versions anew")
        parser.add_argument("--no-cache", action="store_true", help="do every step again")
        parser.add_argument("--no-kernelspec", action="store_true", help="do not install the kernelspec")
        parser.add_argument("-v", "--verbose", action="store_true", help="print the output of each step")
        parser.add_argument("-q", "--quiet", action="store_true", help="print the image's digest alone")
        self.add_json(parser)
        dockerfile.add_options(parser)

    def run(self, options: argparse.Namespace) -> int:
        if dockerfile.is_asked_for(options):
            return dockerfile.run(options)
        from contextlib import nullcontext

        from ..build.monitor import silent
        from ..environments import Environments
        from .progress import BuildProgress

        start = time.monotonic()
        progress = nullcontext(silent) if options.quiet else BuildProgress(verbose=options.verbose)
        with progress as monitor:
            built = Environments().build(
                options.path, monitor=monitor, locked=options.locked, upgrade=options.upgrade,
                no_cache=options.no_cache, kernelspec=not options.no_kernelspec, name=options.name,
            )  # fmt: skip
        if options.json:
            print_json({"name": built.record.name, "image": built.image.digest, "build": built.build_id})
        elif options.quiet:
            print(built.image.digest)
        else:
            print(f"{built.record.name}: ready in {time.monotonic() - start:.1f} s ({built.image.digest[:19]})")
        return 0


class Builds(Command):
    name = "builds"
    summary = "list builds"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-n", type=from_zero(int), default=20, help="how many, newest first (default 20)")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..build.history import list_builds
        from ..paths import Paths

        builds = list_builds(Paths.current())[: options.n]
        if options.json:
            print_json(builds)
            return 0
        print_table(
            ("BUILD", "ENVIRONMENT", "STATE", "STARTED", "TOOK"),
            [
                (
                    entry.id, entry.name, entry.state, f"{age(time.time() - entry.started_at)} ago",
                    "-" if entry.state == "interrupted" else age((entry.ended_at or time.time()) - entry.started_at),
                )
                for entry in builds
            ],
        )  # fmt: skip
        return 0
