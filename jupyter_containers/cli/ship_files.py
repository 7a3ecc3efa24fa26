"""``save`` and ``load``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .base import Command
from .output import print_json, printable

__all__ = ["Load", "Save"]


class Save(Command):
    name = "save"
    summary = "write images to a file or folder"
    description = (
        "Write images to one file, or a folder, that `load`, skopeo, podman and docker read. The digest that is "
        "printed is that of the manifest: the one that `push` gives, too."
    )
    examples = (
        "  jupyter containers save ml-intro -o ml-intro.tar\n"
        "  jupyter containers save ml-intro r-stats -o course.tar --compression zstd\n"
        "  jupyter containers save ml-intro -o for-old-docker.tar --format docker-archive"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("image", nargs="+", metavar="ENV|IMAGE")
        add("-o", "--output", type=Path, required=True, metavar="PATH", help="a file; with `--format oci` a new folder")
        add(
            "--format",
            choices=["oci-archive", "oci", "docker-archive"],
            default="oci-archive",
            help="default: the first",
        )
        add("--compression", choices=["gzip", "zstd", "none"], help="default: gzip, in docker's archives none")
        add("--attach", action="store_true", help="with bill of materials, provenance, spec and lock")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        with Transfer() as progress:
            environments = Environments()
            digests = environments.storage.save(
                options.image, options.output.absolute(), form=options.format, compression=options.compression,
                attach=environments.attestations.artifacts if options.attach else None, progress=progress,
            )  # fmt: skip
        if options.json:
            print_json({"path": str(options.output), "manifests": digests})
        else:
            print("\n".join(digests))
        return 0


class Load(Command):
    name = "load"
    summary = "take images in from a file or folder"
    description = (
        "Take in the images of an OCI archive, an OCI layout folder, or an archive by `docker save`; compressed ones, "
        "too. Each gets the names that it has in the file."
    )
    examples = "  jupyter containers load -i course.tar\n  jupyter containers load -i layout-folder --tag thing:1"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("-i", "--input", type=Path, required=True, metavar="PATH")
        add("--name", default="", help="take only the image of this name, tag or digest in the file")
        add("--tag", default="", metavar="NAME[:TAG]", help="name it so, and not as the file does")
        add("--platform", default="", metavar="OS/ARCH", help="of images for several (default: this machine's)")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        with Transfer() as progress:
            loaded = Environments().shipping.load(
                options.input, name=options.name, tag=options.tag, platform=options.platform, progress=progress
            )
        if options.json:
            print_json(loaded)
            return 0
        for image in loaded:
            print(f"{image.digest}  {', '.join(image.references) or '(no name)'}")
            for name in image.left_out:
                print(f"  not named {printable(name)}: no name for an image, or an environment's (`--tag` gives one)")
        return 0
