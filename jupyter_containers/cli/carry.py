"""``carry``: an environment in a notebook's metadata; and taking it out of notebooks that are to be run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import Command
from .output import printable

if TYPE_CHECKING:
    from ..carrying import Checked
    from ..environments import Environments

__all__ = ["Carry", "open_carried"]


class Carry(Command):
    name = "carry"
    summary = "write an environment into a notebook, which brings it along"
    description = (
        "Write spec, lock and image digest of an environment into a notebook's metadata. Whoever opens the notebook "
        "elsewhere is asked, and gets the same image, from a registry or built from the lock."
    )
    examples = (
        "  jupyter containers carry analysis.ipynb                    the environment of its folder\n"
        "  jupyter containers carry analysis.ipynb --env thesis --reference ghcr.io/me/thesis:1\n"
        "  jupyter containers carry analysis.ipynb --remove"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("notebook", type=Path, metavar="NOTEBOOK")
        add("--env", default="", metavar="ENV", help="its name, or the path of its spec (default: the notebook's own)")
        add("--reference", action="append", default=[], metavar="NAME", help="a registry that has the image")
        add("--remove", action="store_true", help="take it out of the notebook again")

    def run(self, options: argparse.Namespace) -> int:
        from ..carried import METADATA, Carried
        from ..kernels.execute import read_notebook, write_notebook

        notebook = read_notebook(options.notebook)
        present = notebook.metadata.get(METADATA)
        kept = dict(present) if isinstance(present, dict) else {}
        kept = {key: value for key, value in kept.items() if key not in Carried.__struct_fields__}
        name = "nothing"
        if not options.remove:
            carried = self._find(options)
            name = carried["name"]
            kept |= carried
        if kept:
            notebook.metadata[METADATA] = kept
        else:
            notebook.metadata.pop(METADATA, None)
        write_notebook(notebook, options.notebook)
        print(f"{options.notebook}: carries {name}")
        return 0

    @staticmethod
    def _find(options: argparse.Namespace) -> dict[str, Any]:
        import msgspec

        from ..environments import Environments
        from .progress import BuildProgress

        environments = Environments()
        with BuildProgress() as monitor:
            built = environments.build(options.env or options.notebook.absolute(), monitor=monitor)
        carried = environments.carrying.carry(built.record.name, references=options.reference)
        return dict(msgspec.to_builtins(carried))


def open_carried(environments: Environments, notebooks: Sequence[Path], *, trust: bool, quiet: bool) -> dict[Path, str]:
    """Make what *notebooks* carry, asking for each where *trust* was not given; names of environments by notebook.

    :class:`InputError` where one is not valid, or nobody agreed.
    """
    from ..carried import METADATA
    from ..errors import InputError
    from ..kernels.execute import read_notebook

    found: dict[Path, str] = {}
    for path in notebooks:
        metadata = read_notebook(path).metadata.get(METADATA)
        checked = environments.carrying.check(metadata)
        if checked.state == "none":
            continue
        if checked.state == "invalid":
            raise InputError(f"{path} carries an environment that is not valid", problems=checked.problems)
        if checked.state == "missing":
            if not (trust or _agrees(path, checked)):
                raise InputError(
                    f"{path} brings its environment along, and nobody agreed to it",
                    hint="`--trust` agrees; `--env ENV` runs it in another one",
                )
            found[path] = _open(environments, metadata, quiet=quiet)
        else:
            found[path] = checked.environment
    return found


def _agrees(path: Path, checked: Checked) -> bool:
    print(f"{printable(str(path))} brings its environment along. Opening it would:", file=sys.stderr)
    for line in checked.would:
        print(f"  {printable(line)}", file=sys.stderr)
    if not sys.stdin.isatty():
        return False
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _open(environments: Environments, metadata: Any, *, quiet: bool) -> str:
    from .progress import JobProgress

    if quiet:
        return environments.carrying.open(metadata).environment
    with JobProgress() as control:
        return environments.carrying.open(metadata, control=control).environment
