"""Other people's code, run aside: over the image so far, with a writable layer that is thrown away."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import BuildError
from ..sandbox.model import Bind, Overlay
from .context import Context
from .emulation import step_sandbox
from .execution import execute

__all__ = ["OUTPUT", "SOURCE", "run_aside", "unpack", "writable"]

SOURCE, OUTPUT = "/run/jc/source", "/run/jc/output"
_ARCHIVE = "/run/jc/archive"

_UNPACK = """
import sys, tarfile, zipfile
archive, target = sys.argv[1:]
if archive.endswith(".zip"):
    zipfile.ZipFile(archive).extractall(target)
else:
    tarfile.open(archive).extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
"""


def run_aside(
    argv: tuple[str, ...], context: Context, command: str, *, binds: tuple[Bind, ...],
    env: Mapping[str, str] | None = None, network: bool = False,
) -> None:  # fmt: skip
    """Run *argv* over the image so far; what it writes elsewhere than in *binds* goes away."""
    with context.store.staging() as scratch:
        sandbox = step_sandbox(
            argv, root=Overlay(context.state.paths, scratch.upper, scratch.work), store=context.store.root,
            network=network, env=env, binds=binds, limits=context.bounds.limits,
        )  # fmt: skip
        execute(sandbox, command=command, reporter=context.reporter, cancel=context.cancel, bounds=context.bounds)


def unpack(file: Path, filename: str, source: Path, interpreter: str, context: Context) -> str:
    """Unpack the source archive *file*, whose name is *filename*, into the empty folder *source*, by the image's own
    *interpreter*; the folder in it that is the package."""
    archive = f"{_ARCHIVE}/{filename}"
    argv = (interpreter, "-I", "-c", _UNPACK, archive, SOURCE)
    run_aside(argv, context, f"unpack {filename}", binds=(Bind(file, archive), writable(source, SOURCE)))
    (inside,) = _folders(source, filename)
    return inside


def writable(folder: Path, target: str) -> Bind:
    return Bind(folder, target, writable=True)


def _folders(source: Path, name: str) -> list[str]:
    """What an unpacked source archive has at its top: one folder (PEP 625's layout)."""
    found = [entry.name for entry in os.scandir(source) if entry.is_dir(follow_symlinks=False)]
    if len(found) != 1:
        raise BuildError(f"{name} has {len(found)} folders at its top instead of one", hint="take another version")
    return found
