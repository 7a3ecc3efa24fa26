"""Put files into a running container: its own Python unpacks them, with its rights, in its mounts.

The host writes nothing into the container and follows no link of it. What a container makes of the files is its own
affair: a hostile one can only deceive itself.
"""

from __future__ import annotations

import json
import stat
import subprocess
import tarfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..errors import CancelledError, ContainerError
from .base import Container

__all__ = ["insert_packages"]

PROGRAM = r"""
import json, os, sys, tarfile
from importlib.metadata import distributions

top, site, gone = sys.argv[1], sys.argv[2], set(json.loads(sys.argv[3]))
for found in distributions(path=[site]):
    name = (found.metadata["Name"] or "").lower().replace("_", "-").replace(".", "-")
    for file in (found.files or ()) if name in gone else ():
        try:
            os.unlink(os.path.join(site, str(file)))
        except OSError:
            pass
os.chdir(top)
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
    for member in tar:
        if not member.isdir() and os.path.lexists(member.name):
            os.unlink(member.name)  # what a process has mapped stays what it is
        tar.extract(member, **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}))
"""
"""Takes away the packages named in its third argument, and unpacks a tar from its standard input over the rest."""

_OUTPUT = 4096


def insert_packages(
    container: Container,
    trees: Sequence[Path],
    *,
    python: str,
    environment: str,
    packages: str,
    replaced: Sequence[str] = (),
    cancel: threading.Event,
) -> None:
    """Unpack *trees* below the folder *environment* of a running container, with its interpreter *python*.

    *replaced*: distributions in the folder *packages* whose files are taken away before. Paths are the container's.
    Raises :class:`ContainerError` with what its Python said, and :class:`CancelledError`.
    """
    argv = container.exec_argv(
        [python, "-I", "-S", "-c", PROGRAM, environment, packages, json.dumps(sorted(replaced))], cwd="/"
    )
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None and process.stdout is not None
    try:
        with suppress(BrokenPipeError):  # it has ended, and its output says why
            _write(trees, process.stdin, cancel)
            process.stdin.close()
        output = process.stdout.read(_OUTPUT).decode(errors="replace").strip()
        code = process.wait()
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
    if code != 0:
        raise ContainerError(
            f"the packages can't be put into container {container.config.name}: {output or f'exit status {code}'}",
            output=output, exit_code=code, hint="restart the kernel: its next start has them",
        )  # fmt: skip


def _write(trees: Sequence[Path], stream: IO[bytes], cancel: threading.Event) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        seen: dict[str, None] = {}
        for tree in trees:
            for path in sorted(tree.rglob("*")):
                if cancel.is_set():
                    raise CancelledError("it was cancelled")
                _add(tar, path, str(path.relative_to(tree)), seen)


def _add(tar: tarfile.TarFile, path: Path, name: str, seen: dict[str, None]) -> None:
    status = path.lstat()
    member = tarfile.TarInfo(name)
    member.mtime = int(status.st_mtime)
    member.mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        if name not in seen:
            seen[name] = None
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
    elif stat.S_ISLNK(status.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        tar.addfile(member)
    elif stat.S_ISREG(status.st_mode):
        member.size = status.st_size
        with path.open("rb") as file:
            tar.addfile(member, file)
