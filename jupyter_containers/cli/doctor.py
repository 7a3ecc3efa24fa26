"""``doctor``: what this host can do, and the remedies."""

from __future__ import annotations

import argparse

from .base import Command
from .output import print_json

__all__ = ["Doctor"]

_MARK = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}


class Doctor(Command):
    name = "doctor"
    summary = "try what this host can do, and name the remedies"
    description = (
        "Try, one by one, what containers need of this host. Exit status: 0 all works, 1 with shortfalls that have a "
        "way around, 2 when no container can run."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--offline", action="store_true", help="do not try the package archives")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        findings = Environments().diagnose(archives=not options.offline)
        if options.json:
            print_json(findings)
        else:
            for finding in findings:
                print(f"{_MARK[finding.status]}  {finding.name}: {finding.found}")
                if finding.remedy and finding.status != "ok":
                    print(f"      remedy: {finding.remedy}")
        states = {finding.status for finding in findings}
        return 2 if "failed" in states else 1 if "warning" in states else 0
