"""``add`` and ``remove``: Python packages of an environment."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from .base import Command
from .output import print_json, printable

if TYPE_CHECKING:
    from ..packages import Changed

__all__ = ["Add", "Remove"]


class Add(Command):
    name = "add"
    summary = "add Python packages to an environment, and to a kernel that runs"
    description = (
        "Write packages into the spec and the lock of an environment and build it: they become a small layer of their "
        "own. With --container they are put into a running kernel as well, whose variables stay. The spec's comments "
        "stay, too. Where the spec was changed since your last build, build it first."
    )
    examples = (
        "  jupyter containers add analysis polars\n"
        "  jupyter containers add analysis 'polars>=1' altair --container calm-owl"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("environment", metavar="ENV")
        parser.add_argument("package", nargs="+", metavar="PACKAGE", help="as in a requirements.txt")
        parser.add_argument("--container", default="", metavar="ID", help="a running container of it, by id or name")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import JobProgress

        with JobProgress() as control:
            changed = Environments().packages.add(
                options.environment, options.package, container=options.container, control=control
            )
        return _tell(changed, options, "added")


class Remove(Command):
    name = "remove"
    summary = "remove Python packages from an environment"
    description = (
        "Take packages out of the spec and the lock of an environment, and build it. Kernels that run keep them."
    )
    examples = "  jupyter containers remove analysis polars"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("environment", metavar="ENV")
        parser.add_argument("package", nargs="+", metavar="PACKAGE")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import JobProgress

        with JobProgress() as control:
            changed = Environments().packages.remove(options.environment, options.package, control=control)
        return _tell(changed, options, "removed")


def _tell(changed: Changed, options: argparse.Namespace, what: str) -> int:
    if options.json:
        print_json(changed)
        return 0
    lines = [f"+ {item.name} {item.version}" for item in changed.packages]
    lines += [f"- {item.name} {item.version}" for item in changed.removed]
    lines += [f"  {item.name} {item.before} → {item.after}" for item in changed.changed]
    for line in lines:
        print(printable(line))
    if not (lines or changed.requirements):
        print("it is so already")
    if changed.restart:
        print(f"note: restart the kernel for {', '.join(changed.restart)}", file=sys.stderr)
    if changed.image:
        print(f"{options.environment}: {what}, {changed.image[:19]}")
    else:
        print(f"{what}; next: jupyter containers build {options.environment}")
    return 0
