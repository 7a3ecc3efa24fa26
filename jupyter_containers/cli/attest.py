"""``sbom`` and ``provenance``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import InputError
from .base import Command

__all__ = ["Provenance", "Sbom"]


class Sbom(Command):
    name = "sbom"
    summary = "print an image's bill of materials"
    description = (
        "Print what an image is made of, made from the lock that it was built from: each package with its version, "
        "hash, source and package URL. Of an image that came from elsewhere: the bill that came with it."
    )
    examples = "  jupyter containers sbom thesis\n  jupyter containers sbom thesis --format spdx -o thesis.spdx.json"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", metavar="ENV|IMAGE")
        parser.add_argument(
            "--format", choices=["cyclonedx", "spdx"], default="cyclonedx",
            help="CycloneDX 1.6 (default) or SPDX 2.3, as JSON",
        )  # fmt: skip
        _add_output(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        return _write(Environments().attestations.bill(options.image, options.format), options.output)


class Provenance(Command):
    name = "provenance"
    summary = "print how an image came about"
    description = (
        "Print an in-toto statement with SLSA's provenance (v1): what was asked for, and each file that went in, by "
        "its hash. It is not signed."
    )
    examples = "  jupyter containers provenance thesis"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", metavar="ENV|IMAGE")
        _add_output(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        return _write(Environments().attestations.provenance(options.image), options.output)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there")


def _write(document: bytes, output: Path | None) -> int:
    if output is None:
        sys.stdout.write(document.decode())
        return 0
    try:
        output.write_bytes(document)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}", hint="name another file") from error
    return 0
