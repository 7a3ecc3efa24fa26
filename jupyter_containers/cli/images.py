"""``images``, ``history``, ``tag`` and ``rmi``."""

from __future__ import annotations

import argparse
import time

from .base import Command
from .containers_list import shorten
from .output import age, print_json, print_table

__all__ = ["HistoryCommand", "Images", "Rmi", "Tag"]


class Images(Command):
    name = "images"
    summary = "list images"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from ..spec.sizes import format_size

        rows = Environments().storage.images()
        if options.json:
            print_json(rows)
            return 0
        print_table(
            ("IMAGE", "NAMES", "LAYERS", "SIZE", "CREATED"),
            [
                (
                    row.digest[:19],
                    ", ".join(row.references) or "-",
                    str(len(row.layers)),
                    format_size(row.size),
                    f"{age(time.time() - row.created_at)} ago" if row.created_at else "-",
                )
                for row in rows
            ],
        )
        return 0


class HistoryCommand(Command):
    name = "history"
    summary = "show what an image is made of"
    description = "List the layers and settings of an image, newest first, as its makers noted them."

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", metavar="ENV|IMAGE")
        parser.add_argument("--no-trunc", action="store_true", help="show each text in full")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from ..spec.sizes import format_size

        environments = Environments()
        rows = [
            {
                "created": entry.created or None, "created_by": entry.created_by, "comment": entry.comment,
                "diff_id": entry.diff_id or None, "size": entry.size,
            }
            for entry in environments.storage.history(options.image)
        ]  # fmt: skip
        rows.reverse()
        if options.json:
            print_json(rows)
            return 0
        print_table(
            ("LAYER", "SIZE", "CREATED", "BY"),
            [
                (
                    str(row["diff_id"] or "-")[:19],
                    format_size(int(str(row["size"]))),
                    str(row["created"] or "-")[:19],
                    shorten(str(row["created_by"] or row["comment"]), 10_000 if options.no_trunc else 80),
                )
                for row in rows
            ],
        )
        return 0


class Tag(Command):
    name = "tag"
    summary = "give an image another name"
    examples = "  jupyter containers tag ml-intro registry.example/course/ml-intro:2025"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", metavar="ENV|IMAGE")
        parser.add_argument("name", metavar="NAME[:TAG]")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        environments = Environments()
        image = environments.store.image(environments.resolve(options.image).image)
        print(environments.shipping.tag(image, options.name))
        return 0


class Rmi(Command):
    name = "rmi"
    summary = "remove images, or one of their names"
    description = (
        "Forget the name of an image; with its last name, or by digest, the image goes. Its layers are freed by "
        "`prune`. What a container or an environment is made of stays."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", nargs="+", metavar="IMAGE")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        environments = Environments()
        for name in options.image:
            image = environments.storage.remove(name)
            left = environments.store.references().values()
            print(f"untagged {name}" if image.digest in left else f"removed {image.digest}")
        return 0
