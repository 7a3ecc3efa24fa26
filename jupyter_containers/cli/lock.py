"""``lock``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .base import Command
from .output import printable

if TYPE_CHECKING:
    from ..spec.model import LoadedSpec

__all__ = ["LockCommand"]


class LockCommand(Command):
    name = "lock"
    summary = "resolve a spec to exact versions and hashes"
    description = (
        "Write jupyter-container.lock beside the spec: the version and hash of each Debian package and each Python "
        "package. What is locked already stays as it is unless --upgrade says otherwise."
    )
    examples = (
        "  jupyter containers lock\n"
        "  jupyter containers lock --upgrade numpy\n"
        "  jupyter containers lock --check      exit status 1 when the lock does not fit the spec"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "path", nargs="?", type=Path, default=Path(), help="a folder or a file; default: this folder"
        )
        parser.add_argument(
            "--upgrade",
            nargs="*",
            metavar="NAME",
            help="take newer versions: of these packages, or without a name of all",
        )
        parser.add_argument("--check", action="store_true", help="change nothing; tell whether the lock fits")
        parser.add_argument(
            "--architecture", action="append", default=[], choices=["amd64", "arm64"],
            help="lock Debian packages for it as well (repeatable; default: this machine's)",
        )  # fmt: skip

    def run(self, options: argparse.Namespace) -> int:
        from ..build.locking import find_reasons
        from ..lock.file import read_lock
        from ..paths import Paths
        from ..spec.load import load_spec

        loaded = load_spec(options.path)
        if not options.check:
            return self._resolve(loaded, options)
        if not loaded.lock_file.exists():
            print(f"{loaded.lock_file}: not there", file=sys.stderr)
            return 1
        reasons = find_reasons(loaded, read_lock(loaded.lock_file), paths=Paths.current())
        for reason in reasons:
            print(f"{loaded.lock_file}: {reason}", file=sys.stderr)
        if not reasons:
            print(f"{loaded.lock_file}: fits the spec")
        return 1 if reasons else 0

    @staticmethod
    def _resolve(loaded: LoadedSpec, options: argparse.Namespace) -> int:
        from ..build.ensure import with_inputs
        from ..build.locking import make_lock
        from ..build.report import Reporter
        from ..lock.file import read_lock, write_lock
        from ..lock.settings import Settings
        from ..paths import Paths
        from .progress import BuildProgress

        paths = Paths.current()
        previous = read_lock(loaded.lock_file) if loaded.lock_file.exists() else None
        upgrade = False if options.upgrade is None else frozenset(options.upgrade) or True
        with BuildProgress() as monitor:
            lock = make_lock(
                loaded, paths=paths, settings=Settings.current(), previous=previous, upgrade=upgrade,
                architectures=options.architecture, progress=Reporter(monitor).progress("resolving", "bytes"),
                warn=lambda text: monitor.say(printable(text)), monitor=monitor,
            )  # fmt: skip
        lock = with_inputs(loaded, lock, paths)
        changed = write_lock(loaded.lock_file, lock)
        debs = sum(len(group) for group in lock.base.packages.values()) + sum(map(len, lock.apt.values()))
        wheels = len(lock.python.pylock.get("packages", ())) if lock.python else 0
        print(f"{'wrote' if changed else 'unchanged:'} {loaded.lock_file} ({debs} Debian, {wheels} Python packages)")
        return 0
