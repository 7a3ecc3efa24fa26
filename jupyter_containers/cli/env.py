"""``env``: environments by name."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from .base import Command
from .output import print_json, print_table, printable

if TYPE_CHECKING:
    from ..adoption import Adopted
    from ..environments import Environments

__all__ = ["Env", "adopt", "adoption_options"]


def adoption_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--image", required=True, metavar="IMAGE", help="a name or digest, or oci-archive:, oci: or docker-archive:PATH"
    )
    parser.add_argument("--display-name", default="", metavar="TEXT", help="as the launcher shows it")
    parser.add_argument("-v", "--verbose", action="store_true", help="print what is done in full")


def adopt(environments: Environments, options: argparse.Namespace, name: str, *, kernelspec: bool = True) -> Adopted:
    """Make the image that *options* name the environment *name*, with progress."""
    from .progress import BuildProgress, Transfer

    with Transfer() as progress, BuildProgress(verbose=options.verbose) as monitor:
        adopted = environments.adoption.adopt(
            options.image, name, display_name=options.display_name, kernelspec=kernelspec, monitor=monitor,
            progress=progress, notify=tell,
        )  # fmt: skip
    how = "with a kernel beside it" if adopted.kernel else "with its own ipykernel"
    print(f"{adopted.record.name}: {printable(options.image)} ({adopted.image.digest[:19]}), {how}")
    if adopted.note:
        tell(adopted.note)
    return adopted


def tell(text: str) -> None:
    print(f"note: {printable(text)}", file=sys.stderr, flush=True)


class Env(Command):
    name = "env"
    summary = "list, show, add and remove environments"
    examples = (
        "  jupyter containers env list\n"
        "  jupyter containers env show NAME\n"
        "  jupyter containers env add --image python:3.12-slim\n"
        "  jupyter containers env add --image oci-archive:lab.tar lab\n"
        "  jupyter containers env remove NAME"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list | show | add | remove")
        listing = actions.add_parser("list", help="all of yours, with their state")
        self.add_json(listing)
        show = actions.add_parser("show", help="one, in full")
        show.add_argument("name")
        add = actions.add_parser(
            "add",
            help="make an image an environment, as it is",
            description="Give an image a name, and a kernel: its own ipykernel, or one that is mounted beside it "
            "read-only. The image is not built anew, its digest stays. One that is not in the store is pulled.",
        )
        adoption_options(add)
        add.add_argument("name", nargs="?", default="", metavar="NAME", help="default: made from the image's")
        remove = actions.add_parser("remove", help="forget one, its kernelspec included; the spec file stays")
        remove.add_argument("name", nargs="+")
        remove.add_argument("--image", action="store_true", help="remove its image as well")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        environments = Environments()
        if options.action == "show":
            print_json(environments.view(options.name))
        elif options.action == "add":
            adopt(environments, options, options.name)
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
