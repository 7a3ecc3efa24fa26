"""What every command is: arguments, a run, an exit status; and how errors become words on the terminal.

argparse and not traitlets reads the command line: users bring docker's habits (``-it``, ``-v A:B``, a command that
follows an image), and ``--help`` has to answer before the Jupyter stack is imported. Settings of the server
extension are traitlets, as anywhere in Jupyter.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import ClassVar

from ..errors import CancelledError, ContainersError, InputError
from .ending import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_USAGE
from .output import print_error

__all__ = ["EXIT_ERROR", "EXIT_INTERRUPTED", "EXIT_USAGE", "Command", "execute"]


class Command:
    """One sub-command. Subclasses set ``name`` and ``summary``, declare arguments, and run.

    A subclass lies in a module of its own that is imported only when its name is on the command line, and imports
    what is slow (httpx, rich, the server) inside :meth:`run`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line, also in the list of commands."""
    description: ClassVar[str] = ""
    examples: ClassVar[str] = ""
    """Shown at the end of ``--help``, verbatim."""

    def parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            prog=f"jupyter containers {self.name}",
            description=self.description or self.summary,
            epilog=f"examples:\n{self.examples}" if self.examples else None,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self.arguments(parser)
        return parser

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments on *parser*."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it and return the exit status. Errors are raised, see :func:`execute`."""
        raise NotImplementedError

    @staticmethod
    def add_json(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")


def _width() -> int:
    """Of the terminal, as shutil.get_terminal_size() finds it, less the two columns that argparse leaves."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    try:
        return (columns or os.get_terminal_size(sys.__stdout__.fileno()).columns or 80) - 2  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 78


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Leaves the examples as they are; a description, which has no lines of its own, is wrapped."""

    def __init__(self, prog: str) -> None:
        # argparse makes a formatter for each argument that is added, and asks shutil, a late import, for the width.
        super().__init__(prog, width=_width())

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def execute(command: Command, argv: Sequence[str]) -> int:
    """Parse, run, and turn what is raised into a message and an exit status: 2 for bad input, 1 for the rest."""
    options = command.parser().parse_args(argv)
    try:
        return command.run(options)
    except InputError as error:
        print_error(error)
        return EXIT_USAGE
    except CancelledError as error:
        print_error(error)
        return EXIT_INTERRUPTED
    except ContainersError as error:
        print_error(error)
        # That of a container whose program could not be executed: 126 or 127, as docker's and the shell's.
        return getattr(error, "exit_code", None) or EXIT_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
