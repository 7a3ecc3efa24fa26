"""``env``: environments by name."""

from __future__ import annotations

import argparse

from .base import Command
from .output import print_json, print_table

__all__ = ["Env"]


class Env(Command):
    name = "env"
    summary = "list, show and remove environments"
    examples = "  jupyter containers env list\n  jupyter containers env show NAME\n  jupyter containers env remove NAME"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list | show | remove")
        listing = actions.add_parser("list", help="all of yours, with their state")
        self.add_json(listing)
        show = actions.add_parser("show", help="one, in full")
        show.add_argument("name")
        remove = actions.add_parser("remove", help="forget one, its kernelspec included; the spec file stays")
        remove.add_argument("name", nargs="+")
        remove.add_argument("--image", action="store_true", help="remove its image as well")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        environments = Environments()
        if options.action == "show":
            print_json(environments.view(options.name))
        elif options.action == "remove":
            for name in options.name:
                environments.forget(name, image=options.image)
                print(name)
        else:
            views = environments.list()
            if options.json:
                print_json(views)
                return 0
            print_table(
                ("NAME", "STATE", "IMAGE", "SPEC"),
                [(view.name, view.state, (view.image or "")[:19], view.spec_file) for view in views],
            )
        return 0
