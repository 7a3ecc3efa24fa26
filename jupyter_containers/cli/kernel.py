"""``kernel``: what a kernelspec's ``argv`` runs where the client knows nothing of kernel provisioners."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .base import Command

__all__ = ["Kernel"]


class Kernel(Command):
    name = "kernel"
    summary = "run an environment's kernel behind a connection file (for clients without provisioners)"
    description = (
        "Kernelspecs of environments name a kernel provisioner, and this command as well: VS Code and other clients "
        "that start kernels by themselves run it, and get the same container behind the ports they have chosen."
    )
    examples = "  jupyter containers kernel --environment ml-intro -f kernel-1.json"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--environment", default="", metavar="ENV", help="the environment to run")
        what.add_argument("--options", default="", metavar="JSON", help="all settings, as a kernelspec holds them")
        parser.add_argument(
            "-f", dest="connection_file", type=Path, required=True, metavar="FILE", help="connection file"
        )

    def run(self, options: argparse.Namespace) -> int:
        from ..errors import InputError
        from ..kernels.options import check_options
        from ..kernels.standalone import run_kernel

        values = {"environment": options.environment}
        if options.options:
            try:
                values = json.loads(options.options)
            except ValueError as error:
                raise InputError(f"--options is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise InputError("--options is not a JSON object")
        return run_kernel(check_options(values, source="--options"), options.connection_file)
