"""``share`` and ``open``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

from .base import Command
from .output import print_json, printable

__all__ = ["Open", "Share"]


class Share(Command):
    name = "share"
    summary = "write an environment to one file, for other machines"
    description = (
        "Write spec, lock, image and the files that the build takes in to one file, which `open` takes in without a "
        "network. It is an OCI archive: other engines read the image in it. The same environment gives the same bytes."
    )
    examples = (
        "  jupyter containers share thesis -o thesis.jcz\n"
        "  jupyter containers share . -o lesson.jcz --notebook lesson.ipynb"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("environment", metavar="ENV|PATH", help="a known environment, or a spec's folder or file; built if need be")
        add("-o", "--output", type=Path, required=True, metavar="FILE", help="by custom it ends in .jcz")
        add("--notebook", type=Path, action="append", default=[], metavar="FILE", help="let it go along (repeatable)")
        add(
            "--compression", choices=["zstd", "gzip", "none"], default="zstd",
            help="of the layers; gzip for docker before 23 (default: zstd)",
        )  # fmt: skip
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..build.monitor import silent
        from ..environments import Environments
        from ..spec.sizes import format_size
        from .progress import BuildProgress, Transfer

        environments = Environments()
        with nullcontext(silent) if options.json else BuildProgress() as monitor:
            environments.build(options.environment, monitor=monitor)
        with Transfer() as progress:
            shared = environments.bundles.share(
                options.environment, options.output.absolute(), notebooks=options.notebook,
                compression=options.compression, progress=progress,
            )  # fmt: skip
        if options.json:
            print_json(shared)
        else:
            print(f"{options.output}  {format_size(shared.size)}\nimage {shared.image}")
        return 0


class Open(Command):
    name = "open"
    summary = "take in an environment from a file that `share` wrote"
    description = (
        "Take in image, spec, lock and files, and make the environment and its kernel known. Asks no network and runs "
        "nothing. Where the spec takes something of this host (network, folders, GPUs, build steps) it is shown, and "
        "opened only if you agree."
    )
    examples = "  jupyter containers open thesis.jcz\n  jupyter containers open thesis.jcz --name theirs --to ~/theirs"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("file", type=Path)
        add("--name", default="", help="another name than its own")
        add("--to", type=Path, metavar="FOLDER", help="where its files go (default: a new folder of its name, here)")
        add("--trust", action="store_true", help="agree to what the spec takes of this host, without being asked")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        def trust(name: str, wanted: Sequence[str]) -> bool:
            if options.trust:
                return True
            return sys.stdin.isatty() and sys.stderr.isatty() and _agrees(name, wanted)

        with ExitStack() as stack:
            bars: list[Transfer] = []

            def progress(what: str, done: int, total: int) -> None:
                if not bars:  # not before the question: bars hold back a line that has no end yet
                    bars.append(stack.enter_context(Transfer()))
                bars[0](what, done, total)

            opened = Environments().bundles.open(
                options.file, trust=trust, name=options.name, to=options.to, progress=progress
            )
        if options.json:
            print_json(opened)
            return 0
        print(f"{opened.name}: ready ({opened.image[:19]}), its files are in {printable(str(opened.folder))}")
        for notebook in opened.notebooks:
            print(f"  {printable(notebook)}")
        for note in opened.notes:
            print(f"note: {printable(note)}", file=sys.stderr)
        return 0


def _agrees(name: str, wanted: Sequence[str]) -> bool:
    print(f"{printable(name)} takes of this host:", file=sys.stderr)
    for line in wanted:
        print(f"  {printable(line)}", file=sys.stderr)
    print("Open it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
