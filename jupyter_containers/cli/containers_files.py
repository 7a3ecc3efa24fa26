"""Commands for a container's files: ``commit``, ``cp``, ``export``, ``import``."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .base import Command
from .output import print_json

if TYPE_CHECKING:
    from ..files import Committed

__all__ = ["Commit", "Cp", "Export", "ImportCommand"]

_CHANGE = "a Dockerfile instruction for the configuration (CMD, ENV, LABEL …); may be given again"


class Commit(Command):
    name = "commit"
    summary = "make an image of a container's changes"
    description = (
        "Make an image of a container's image and the files that the container has changed, as one more layer. A "
        "running container, a kernel too, stands still while its files are copied. What is mounted, /tmp, /var/tmp, "
        "sockets and devices are not taken."
    )
    examples = (
        "  jupyter containers commit quiet-otter ml-intro-fixed:1 -m 'with the course data'\n"
        "  jupyter containers commit --change 'CMD [\"python\"]' --change 'ENV MODE=exam' quiet-otter exam:1"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("container", help="its name, its id, or the beginning of its id")
        parser.add_argument("name", metavar="NAME[:TAG]", help="what the image is called")
        parser.add_argument("-m", "--message", default="", help="a comment, kept in the image's history")
        parser.add_argument("-a", "--author", default="", help="who made it")
        parser.add_argument("-c", "--change", action="append", default=[], metavar="INSTRUCTION", help=_CHANGE)
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        with Transfer() as progress:
            committed = Environments().files.commit(
                options.container, options.name, message=options.message, author=options.author,
                changes=options.change, progress=progress,
            )  # fmt: skip
        _tell(committed, json=options.json)
        return 0


class Cp(Command):
    name = "cp"
    summary = "copy files between the host and a container"
    description = (
        "Copy a file or folder between this host and a container, running or not. One of the two is CONTAINER:PATH; "
        "`-` is a tar on standard input or output. A folder is made in a folder that exists, and as one that does not; "
        "with /. at its end what it holds is copied. Modes and times are kept."
    )
    examples = (
        "  jupyter containers cp data.csv quiet-otter:/home/jovyan/\n"
        "  jupyter containers cp quiet-otter:/home/jovyan/results/. results\n"
        "  jupyter containers cp quiet-otter:/etc - | tar t"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("source", metavar="SRC", help="a path, CONTAINER:PATH, or -")
        parser.add_argument("target", metavar="DST", help="a path, CONTAINER:PATH, or -")
        parser.add_argument("-L", "--follow-link", action="store_true", help="follow a link that SRC is")
        parser.add_argument(
            "-a", "--archive", action="store_true", help="for docker's sake: modes and times are kept in any case"
        )
        parser.add_argument("-q", "--quiet", action="store_true", help="tell nothing")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from ..spec.sizes import format_size
        from .progress import Transfer

        with Transfer() if not options.quiet else nullcontext(_quiet) as progress:
            copied = Environments().files.copy(
                options.source, options.target, follow=options.follow_link, progress=progress
            )
        to_stream = options.target == "-"
        if options.json and not to_stream:
            print_json(copied)
        elif not options.quiet:
            print(f"copied {copied.files} files, {format_size(copied.size)}", file=sys.stderr)
        if copied.left_out and not options.quiet:
            print(f"left out: {_some(copied.left_out)} (sockets, pipes, devices)", file=sys.stderr)
        return 0


class Export(Command):
    name = "export"
    summary = "write a container's files as a tar"
    description = (
        "Write the root file system of a container, its image's files and its own, as one tar without layers or "
        "history. What is mounted, and what `commit` does not take, is not in it."
    )
    examples = (
        "  jupyter containers export quiet-otter -o root.tar\n  jupyter containers export quiet-otter | tar t | less"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("container", help="its name, its id, or the beginning of its id")
        parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        environments = Environments()
        if not options.output:
            if sys.stdout.isatty():
                raise InputError("a tar is not for a terminal", hint="name a file with -o, or redirect the output")
            with Transfer() as progress:
                environments.files.export(options.container, sys.stdout.buffer, progress=progress)
            return 0
        target = Path(options.output)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with part.open("xb") as stream, Transfer() as progress:
                environments.files.export(options.container, stream, progress=progress)
            part.replace(target)
        except FileNotFoundError as error:
            if error.filename not in (str(part), str(target)):
                raise
            raise InputError(f"cannot write {target}: there is no folder {target.parent}") from error
        except PermissionError as error:
            raise InputError(f"cannot write {target}: {error.strerror}") from error
        finally:
            with suppress(OSError):
                part.unlink()
        return 0


class ImportCommand(Command):
    name = "import"
    summary = "make an image of a root file system's tar"
    description = (
        "Make an image with one layer of the root file system in a tar (plain, gzip, bzip2, xz or zstd): a file, a web "
        "address, or - for standard input. Owners are forgotten, devices left out."
    )
    examples = (
        "  jupyter containers import root.tar.xz tiny:1 -c 'CMD [\"/bin/sh\"]'\n"
        "  jupyter containers export quiet-otter | jupyter containers import - flat:1"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("source", metavar="FILE|URL|-")
        parser.add_argument("name", nargs="?", default="", metavar="NAME[:TAG]")
        parser.add_argument("-m", "--message", default="", help="a comment, kept in the image's history")
        parser.add_argument("-c", "--change", action="append", default=[], metavar="INSTRUCTION", help=_CHANGE)
        parser.add_argument("--platform", default="", help="what it is for: linux/arm64 (default: this machine)")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        with Transfer() as progress:
            imported = Environments().files.import_root(
                options.source, options.name, message=options.message, changes=options.change,
                platform=options.platform, progress=progress,
            )  # fmt: skip
        _tell(imported, json=options.json)
        return 0


def _tell(committed: Committed, *, json: bool) -> None:
    from ..spec.sizes import format_size

    if json:
        print_json(committed)
        return
    print(committed.image)
    layer = f"a layer of {committed.entries} files, {format_size(committed.size)}" if committed.layer else "no layer"
    named = f"{committed.reference}: " if committed.reference else "without a name (`prune` removes it): "
    print(f"{named}{layer}", file=sys.stderr)
    if committed.left_out:
        print(f"left out: {_some(committed.left_out)} (sockets, devices)", file=sys.stderr)


def _quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""


def _some(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
