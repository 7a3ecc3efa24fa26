"""``to-dockerfile`` and ``to-devcontainer``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .base import Command
from .output import printable

__all__ = ["ToDevcontainer", "ToDockerfile"]


class ToDockerfile(Command):
    name = "to-dockerfile"
    summary = "write an environment as a Dockerfile"
    description = (
        "Write a Dockerfile that gives the same packages, files and settings with docker, podman or buildah: each "
        "version as locked, Debian's archive as it was then, each file held to its hash."
    )
    examples = (
        "  jupyter containers to-dockerfile thesis > Dockerfile    heredocs and all: for BuildKit and for `build -f`\n"
        "  jupyter containers to-dockerfile thesis -o thesis/      a build context, for any docker\n"
        "  docker build -t thesis thesis/"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("environment", metavar="ENV|PATH", help="a known environment, or a spec's folder or file")
        add("-o", "--output", type=Path, metavar="FOLDER", help="write a build context there (default: print the file)")
        _add_common(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        exports = Environments().exports
        if options.output is None:
            export = exports.dockerfile(options.environment, architecture=options.architecture)
            sys.stdout.write(export.alone)
        else:
            export = exports.write_dockerfile(
                options.environment, options.output, force=options.force, architecture=options.architecture
            )
            print(f"wrote {options.output}/Dockerfile\nnext: docker build -t NAME {options.output}")
        _tell(export.notes)
        return 0


class ToDevcontainer(Command):
    name = "to-devcontainer"
    summary = "write an environment as a devcontainer.json"
    description = (
        "Write .devcontainer/ with a devcontainer.json and the Dockerfile of `to-dockerfile`, for editors that start "
        "development containers."
    )
    examples = "  jupyter containers to-devcontainer thesis\n  jupyter containers to-devcontainer . -o ~/elsewhere"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("environment", metavar="ENV|PATH", help="a known environment, or a spec's folder or file")
        add(
            "-o", "--output", type=Path, default=Path(), metavar="FOLDER",
            help="where .devcontainer/ goes (default: this folder)",
        )  # fmt: skip
        _add_common(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        export = Environments().exports.write_devcontainer(
            options.environment, options.output, force=options.force, architecture=options.architecture
        )
        print(f"wrote {options.output / '.devcontainer'}")
        _tell(export.notes)
        return 0


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="write where there are files already")
    parser.add_argument(
        "--architecture", default="", metavar="ARCH",
        help="write the Debian packages for amd64 or arm64 (default: this machine's)",
    )  # fmt: skip


def _tell(notes: tuple[str, ...]) -> None:
    for note in notes:
        print(f"note: {printable(note)}", file=sys.stderr)
