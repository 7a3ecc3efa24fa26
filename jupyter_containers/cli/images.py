"""``images`` and ``prune``."""

from __future__ import annotations

import argparse
import time

from .base import Command
from .output import age, print_json, print_table

__all__ = ["Images", "Prune"]


class Images(Command):
    name = "images"
    summary = "list images"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from ..spec.sizes import format_size

        rows = Environments().images()
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


class Prune(Command):
    name = "prune"
    summary = "remove what nothing refers to"
    description = (
        "Remove images without a name, layers and cached steps that no image uses, and what interrupted builds left. "
        "What a container uses stays."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-n", "--dry-run", action="store_true", help="tell what would go, remove nothing")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from ..spec.sizes import format_size

        removed = Environments().prune(dry_run=options.dry_run)
        if options.json:
            print_json(removed)
            return 0
        for item in removed.items:
            print(item)
        print(f"{'would free' if options.dry_run else 'freed'} {format_size(removed.size)}")
        return 0
