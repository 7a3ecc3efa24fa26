"""``kernelspec``: environments in the launcher of every Jupyter on this host."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .base import Command
from .output import print_json, print_table

__all__ = ["Kernelspec"]


class Kernelspec(Command):
    name = "kernelspec"
    summary = "install, list and remove kernelspecs of environments"
    description = (
        "A build installs the kernelspec of its environment for the user. This command installs it elsewhere or with "
        "other settings: a memory limit, a read-only notebook folder, a writable layer that is kept over restarts."
    )
    examples = (
        "  jupyter containers kernelspec install ml-intro --sys-prefix\n"
        "  jupyter containers kernelspec install ml-intro --set memory=2G --set mount_folder=ro\n"
        "  jupyter containers kernelspec install --image python:3.12-slim --name py312\n"
        "  jupyter containers kernelspec list\n"
        "  jupyter containers kernelspec remove ml-intro"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        install = actions.add_parser("install", help="write the kernelspec of an environment")
        install.add_argument("environment", nargs="?", default="", metavar="ENV")
        install.add_argument(
            "--image", default="", metavar="IMAGE", help="in place of ENV: an image, as `env add` has it"
        )
        install.add_argument("--name", default="", help="with --image: the environment's name")
        install.add_argument("-v", "--verbose", action="store_true", help=argparse.SUPPRESS)
        where = install.add_mutually_exclusive_group()
        where.add_argument("--user", action="store_true", help="for this user (the default)")
        where.add_argument("--sys-prefix", action="store_true", help="into this Python environment")
        where.add_argument("--prefix", metavar="DIR", help="into DIR/share/jupyter/kernels")
        where.add_argument("--system", action="store_true", help="for all users of this host")
        install.add_argument("--display-name", default="", metavar="TEXT", help="as the launcher shows it")
        install.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the kernel")
        self.add_json(actions.add_parser("list", help="list installed kernelspecs of environments"))
        remove = actions.add_parser("remove", help="remove kernelspecs")
        remove.add_argument("environments", nargs="+", metavar="ENV", help="an environment, or a kernelspec's name")

    def run(self, options: argparse.Namespace) -> int:
        from ..kernels import kernelspec

        if options.action == "install":
            prefix = sys.prefix if options.sys_prefix else options.prefix
            folder = kernelspec.install(
                environment_of(options), user=not options.system, prefix=prefix, display_name=options.display_name,
                **parse_settings(options.set),
            )  # fmt: skip
            print(f"{folder.name}: installed in {folder}")
        elif options.action == "remove":
            for environment in options.environments:
                for folder in kernelspec.remove(environment):
                    print(f"{folder.name}: removed from {folder.parent}")
        elif options.json:
            print_json(kernelspec.list_installed())
        else:
            print_table(
                ("KERNELSPEC", "ENVIRONMENT", "LANGUAGE", "DISPLAY NAME", "FOLDER"),
                [
                    (item.name, item.environment, item.language, item.display_name, item.folder)
                    for item in kernelspec.list_installed()
                ],
            )
        return 0


def environment_of(options: argparse.Namespace) -> str:
    """The environment that ``install`` is about; with ``--image`` it is made first."""
    from ..errors import InputError

    if bool(options.environment) == bool(options.image):
        raise InputError(
            "name an environment, or an image with --image", hint="`jupyter containers env list` lists them"
        )
    if options.name and not options.image:
        raise InputError("--name is the name of an environment made with --image")
    if not options.image:
        return str(options.environment)
    from ..environments import Environments
    from .env import adopt

    return adopt(Environments(), options, options.name, kernelspec=False).record.name


def parse_settings(words: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words as option values: the types are those of :class:`..kernels.options.KernelOptions`."""
    from ..errors import InputError

    values: dict[str, Any] = {}
    for word in words:
        key, found, text = word.partition("=")
        if not found:
            raise InputError(f"--set {word!r} is not KEY=VALUE", hint="such as --set memory=2G")
        key = key.replace("-", "_")
        if key in {"pass_env", "accept_unenforced"}:
            values[key] = [item for item in text.split(",") if item]
        elif text.lower() in {"true", "false"}:
            values[key] = text.lower() == "true"
        elif key in {"cpus", "pids", "files"}:
            try:
                values[key] = float(text) if key == "cpus" else int(text)
            except ValueError as error:
                raise InputError(f"--set {word!r}: {text!r} is not a number") from error
        else:
            values[key] = text
    return values
