"""``init``, ``explain`` and ``schema``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .base import Command
from .output import print_json

__all__ = ["Explain", "Init", "Schema"]


class Init(Command):
    name = "init"
    summary = "write a first spec from what a folder has"
    description = (
        "Write jupyter-container.toml from the files of a folder: requirements, environment.yml, pyproject.toml, "
        "and the imports of its notebooks. The file is yours to edit; nothing is installed."
    )
    examples = "  jupyter containers init\n  jupyter containers init --stdout notebooks/"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="default: this folder")
        parser.add_argument("--stdout", action="store_true", help="print it, write nothing")
        parser.add_argument("--force", action="store_true", help="replace a spec that is there")

    def run(self, options: argparse.Namespace) -> int:
        from ..errors import ConflictError
        from ..spec.draft import draft_spec

        text = draft_spec(options.folder)
        if options.stdout:
            sys.stdout.write(text)
            return 0
        file = options.folder / "jupyter-container.toml"
        try:
            with file.open("w" if options.force else "x") as stream:
                stream.write(text)
        except FileExistsError:
            raise ConflictError(f"{file} is there already", hint="edit it, or write it anew with --force") from None
        print(f"wrote {file}\nnext: jupyter containers build {options.folder}")
        return 0


class Explain(Command):
    name = "explain"
    summary = "show which files make the spec, and the result"
    examples = "  jupyter containers explain\n  jupyter containers explain analysis.ipynb"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "path", nargs="?", type=Path, default=Path(), help="a folder or a file; default: this folder"
        )
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..spec.dump import dump_spec
        from ..spec.load import load_spec

        loaded = load_spec(options.path)
        if options.json:
            print_json(loaded)
            return 0
        print("# read:")
        for used in loaded.used:
            print(f"#   {_relative(used.file, loaded.folder)}: {used.part}")
        if loaded.ignored:
            print("# ignored:")
        for ignored in loaded.ignored:
            print(f"#   {_relative(ignored.file, loaded.folder)}: {ignored.reason}")
        there = "" if loaded.lock_file.exists() else " (not there yet)"
        print(f"# lock: {_relative(loaded.lock_file, loaded.folder)}{there}")
        print()
        sys.stdout.write(dump_spec(loaded.spec))
        return 0


class Schema(Command):
    name = "schema"
    summary = "print the JSON Schema of the spec"
    description = (
        "Print the JSON Schema (draft 2020-12) of jupyter-container.toml, for editors such as VS Code with taplo."
    )

    def run(self, options: argparse.Namespace) -> int:
        from ..spec.schema import json_schema

        sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
        return 0


def _relative(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
