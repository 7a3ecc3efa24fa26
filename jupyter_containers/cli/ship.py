"""``pull``, ``push``, ``copy`` and ``search-tags``."""

from __future__ import annotations

import argparse
import fnmatch
import sys

from .base import Command
from .output import print_json, printable

__all__ = ["Copy", "Pull", "Push", "SearchTags"]


def tell(text: str) -> None:
    """A detour, as it is taken."""
    print(f"note: {printable(text)}", file=sys.stderr, flush=True)


class Pull(Command):
    name = "pull"
    summary = "take an image from a registry"
    description = (
        "Take an image from a registry. Only layers that are not here yet are moved. A name without a registry is "
        "docker.io's, as in docker; afterwards the image is called by its name in full."
    )
    examples = (
        "  jupyter containers pull quay.io/jupyter/minimal-notebook\n"
        "  jupyter containers pull debian:bookworm && jupyter containers run debian:bookworm cat /etc/os-release\n"
        "  jupyter containers pull registry.example/course@sha256:…"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", metavar="NAME[:TAG|@DIGEST]")
        parser.add_argument("--platform", default="", metavar="OS/ARCH", help="default: this machine's")
        parser.add_argument("--attach", action="store_true", help="with the documents that are attached to it there")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        with Transfer() as progress:
            pulled = Environments().shipping.pull(
                options.image, platform=options.platform, attached=options.attach, progress=progress, notify=tell
            )
        if options.json:
            print_json({
                "reference": pulled.reference, "digest": pulled.digest, "image": pulled.image.digest,
                "source": pulled.source, "layers": len(pulled.image.layers), "moved": pulled.moved,
                "attached": pulled.attached,
            })  # fmt: skip
            return 0
        print(f"{pulled.reference}\nimage {pulled.image.digest}\ndigest {pulled.digest}")
        print(f"{len(pulled.image.layers)} layers, {pulled.moved} of them moved from {pulled.source}", file=sys.stderr)
        for kind in pulled.attached:
            print(f"attached: {printable(kind)}", file=sys.stderr)
        return 0


class Push(Command):
    name = "push"
    summary = "send an image to a registry"
    description = (
        "Send an image to a registry. Only blobs that the registry does not have are moved; those of its other "
        "repositories it takes over by itself. An image that was pulled keeps its digest where that can be."
    )
    examples = (
        "  jupyter containers push ml-intro ghcr.io/course/ml-intro:2025\n"
        "  jupyter containers push ghcr.io/course/ml-intro:2025"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("image", metavar="ENV|IMAGE")
        add("target", nargs="?", default="", metavar="REGISTRY/NAME[:TAG]", help="default: the image's own name")
        add("--compression", choices=["gzip", "zstd", "none"], help="default: gzip, and a pulled image as it came")
        add("--attach", action="store_true", help="with bill of materials, provenance, spec and lock")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        with Transfer() as progress:
            environments = Environments()
            pushed = environments.storage.push(
                options.image, options.target, compression=options.compression,
                attach=environments.attestations.artifacts if options.attach else None, progress=progress, notify=tell,
            )  # fmt: skip
        if options.json:
            print_json(pushed)
            return 0
        print(f"{pushed.reference}\ndigest {pushed.digest}")
        print(f"blobs: {pushed.sent} sent, {pushed.mounted} taken over, {pushed.present} were there", file=sys.stderr)
        if options.attach:
            print(f"attached: {len(pushed.attached)} documents", file=sys.stderr)
        return 0


class Copy(Command):
    name = "copy"
    summary = "copy an image from registry to registry"
    description = (
        "Copy an image, with all of its platforms and what is attached to them (bill of materials, provenance, "
        "signatures), from one registry (or repository) to another. Nothing is kept here, and the digest stays what it "
        "is."
    )
    examples = "  jupyter containers copy debian:bookworm registry.example/base/debian:bookworm"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("source", metavar="NAME[:TAG|@DIGEST]")
        parser.add_argument("target", metavar="REGISTRY/NAME[:TAG]")
        parser.add_argument("--no-attach", action="store_true", help="without what is attached to it")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        with Transfer() as progress:
            copied = Environments().shipping.copy(
                options.source, options.target, attached=not options.no_attach, progress=progress, notify=tell
            )
        if options.json:
            print_json(copied)
            return 0
        print(f"{copied.target}\ndigest {copied.digest}")
        print(
            f"manifests: {copied.manifests}; blobs sent: {copied.sent}; attached documents: {copied.attached}",
            file=sys.stderr,
        )
        return 0


class SearchTags(Command):
    name = "search-tags"
    summary = "list the tags of an image in a registry"
    examples = "  jupyter containers search-tags debian 'bookworm*'"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", metavar="NAME")
        parser.add_argument("pattern", nargs="?", default="*", help="with * and ?")
        parser.add_argument("--limit", type=int, metavar="N", help="stop after so many")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        found: list[str] = []
        for tag in Environments().shipping.tags(options.image):
            if options.limit is not None and len(found) >= options.limit:
                break
            if fnmatch.fnmatchcase(tag, options.pattern):
                found.append(tag)
        if options.json:
            print_json(found)
        else:
            print("".join(f"{printable(tag)}\n" for tag in found), end="")
        return 0
