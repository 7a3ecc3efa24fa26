"""``execute``: notebooks in containers, side by side."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from .base import Command
from .container_options import above_zero
from .output import print_json, print_table, printable

if TYPE_CHECKING:
    from ..kernels.execute import CellEvent, NotebookResult

__all__ = ["Execute"]


class Execute(Command):
    name = "execute"
    summary = "run notebooks in containers, side by side"
    description = (
        "Build what is not built yet, run each notebook in a kernel of its own, and write the executed copies. Without "
        "--env a notebook runs in its own environment: that of the PEP 723 block in its first code cell, else that of "
        "the spec beside it; one that has neither, in the environment that it carries, once you agree. The notebook's "
        "folder is mounted at its own path."
    )
    examples = (
        "  jupyter containers execute analysis.ipynb             writes analysis.executed.ipynb\n"
        "  jupyter containers execute *.ipynb --jobs 4 --output-dir results\n"
        "  jupyter containers execute a.ipynb --env ml-intro --timeout 600 --memory 2G"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help="an .ipynb file")
        add("--env", default="", metavar="ENV", help="environment, or path of a spec, for all notebooks")
        add("--trust", action="store_true", help="agree to the environments that notebooks bring along")
        add("-j", "--jobs", type=above_zero(int), default=0, metavar="N",
            help="notebooks at a time (default: one per CPU)")  # fmt: skip
        add("--output-dir", type=Path, metavar="DIR", help="write the executed copies there, under their own names")
        add("--inplace", action="store_true", help="write over the notebooks themselves")
        add("--timeout", type=above_zero(float), metavar="S", help="seconds that a cell may take (default: no limit)")
        add("--allow-errors", action="store_true", help="go on after a cell that fails")
        add("--memory", default="", metavar="SIZE", help="memory limit of each container, such as 2G")
        add("--cpus", type=above_zero(float), metavar="N", help="CPU limit of each container")
        add("--accept-unenforced", action="append", default=[], choices=("memory", "cpus", "pids", "disk", "gpus"),
            metavar="LIMIT", help="run even if this host can't enforce it")  # fmt: skip
        add("--network", choices=("none", "full"), default="", help="instead of the spec's")
        add(
            "--pass-env", action="append", default=[], metavar="NAME", help="hand a variable on (* and ? are wildcards)"
        )
        add("-v", "--verbose", action="store_true", help="print the output of build steps")
        add("-q", "--quiet", action="store_true", help="print no progress")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..build.monitor import silent
        from ..kernels.execute import execute_notebooks
        from ..kernels.options import check_options
        from .progress import BuildProgress

        values = {
            "memory": options.memory, "cpus": options.cpus, "network": options.network, "pass_env": options.pass_env,
            "accept_unenforced": options.accept_unenforced,
        }  # fmt: skip
        settings = check_options(values, source="the command line", partial=True)
        quiet = options.quiet or options.json
        notebooks = _without_copies(options.notebooks)
        named = {} if options.env else _open_carried(notebooks, trust=options.trust, quiet=quiet)
        with nullcontext(silent) if quiet else BuildProgress(verbose=options.verbose) as monitor:
            results = execute_notebooks(
                notebooks, env=options.env, named=named, jobs=options.jobs or os.cpu_count() or 1,
                output_dir=options.output_dir, inplace=options.inplace, timeout=options.timeout,
                allow_errors=options.allow_errors, options=settings, monitor=monitor,
                listener=_ignore if quiet else _tell,
            )  # fmt: skip
        if options.json:
            print_json(results)
        else:
            _print(results)
        return 0 if all(item.status == "ok" for item in results) else 1


def _without_copies(notebooks: list[Path]) -> list[Path]:
    """Without the executed copies of others in the list: ``*.ipynb`` has those of the last run, too."""
    from ..kernels.execute import output_path

    copies = {output_path(path) for path in notebooks}
    for path in notebooks:
        if path in copies:
            print(f"note: {printable(str(path))} is left out: it is an executed copy", file=sys.stderr)
    return [path for path in notebooks if path not in copies]


def _open_carried(notebooks: list[Path], *, trust: bool, quiet: bool) -> dict[Path, str]:
    """Environments that notebooks without a spec bring along, made ready."""
    without = [path for path in notebooks if _has_no_spec(path)]
    if not without:
        return {}
    from ..environments import Environments
    from .carry import open_carried

    return open_carried(Environments(), without, trust=trust, quiet=quiet)


def _has_no_spec(path: Path) -> bool:
    from ..errors import SpecError
    from ..spec.load import load_spec

    try:
        load_spec(path)
    except SpecError as error:
        return error.message.startswith("no spec for")
    return False


def _ignore(event: CellEvent) -> None:
    pass


def _tell(event: CellEvent) -> None:
    """A line for each quarter of a notebook: enough to see it move, few enough to read afterwards."""
    if event.done * 4 // max(event.total, 1) != (event.done - 1) * 4 // max(event.total, 1):
        print(f"{printable(event.notebook)}: {event.done} of {event.total} cells", file=sys.stderr)


def _print(results: tuple[NotebookResult, ...]) -> None:
    from ..spec.sizes import format_size

    print_table(
        ("NOTEBOOK", "ENVIRONMENT", "STATUS", "CELLS", "SECONDS", "MEMORY", "OUTPUT"),
        [
            (
                item.notebook, item.environment, item.status, f"{item.executed}/{item.cells}", f"{item.seconds:.1f}",
                format_size(item.memory_peak) if item.memory_peak else "-", item.output or "-",
            )
            for item in results
        ],
    )  # fmt: skip
    for item in results:
        for limit in item.unenforced:
            print(f"note: {printable(item.notebook)}: this host can't enforce {printable(limit)}", file=sys.stderr)
        if item.error:
            lines = [printable(line) for line in item.error.splitlines()]
            print(f"error: {printable(item.notebook)}: " + "\n".join(lines), file=sys.stderr)
            if item.hint:
                print(f"hint: {printable(item.hint)}", file=sys.stderr)
