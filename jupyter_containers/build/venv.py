"""The virtual environment of an image: prepared wheels linked together into one tree.

Files are hard links to the prepared ones, so that ten environments with one numpy hold it once on disk. The
environment itself is three links and ``pyvenv.cfg`` (PEP 405); nothing of the host's Python gets into it.
"""

# Tens of thousands of entries: strings are several times quicker than pathlib.
# ruff: noqa: PTH102, PTH108, PTH112, PTH114, PTH120

from __future__ import annotations

import errno
import filecmp
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ..lock.model import Interpreter

__all__ = ["link_trees", "make_environment"]


def make_environment(folder: Path, interpreter: Interpreter) -> None:
    """The files of an empty virtual environment; *folder* is where ``interpreter.environment`` is in the layer."""
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / f"python{interpreter.version}" / "site-packages").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(interpreter.path)
    for name in ("python3", f"python{interpreter.version}"):
        (folder / "bin" / name).symlink_to("python")
    (folder / "lib64").symlink_to("lib")
    (folder / "pyvenv.cfg").write_text(
        f"home = {os.path.dirname(interpreter.path)}\ninclude-system-site-packages = false\n"
        f"version = {interpreter.full_version or interpreter.version}\nexecutable = {interpreter.path}\n"
    )


def link_trees(
    trees: Sequence[Path],
    names: Sequence[str],
    folder: Path,
    *,
    warn: Callable[[str], None],
    progress: Callable[[str, int, int], None],
) -> None:
    """Link all of *trees* (of packages *names*) into *folder*. Where two have the same file, the later one wins.

    *warn* is told of each such file that is not the same in both; namespace packages of the old kind (pkgutil) share
    an ``__init__.py``, which is.
    """
    owners: dict[str, str] = {}
    for done, (tree, name) in enumerate(zip(trees, names, strict=True), start=1):
        _link(str(tree), str(folder), "", name, owners, warn)
        progress("packages", done, len(trees))


def _link(source: str, target: str, path: str, name: str, owners: dict[str, str], warn: Callable[[str], None]) -> None:
    with os.scandir(source) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        place = f"{target}/{entry.name}"
        inside = f"{path}/{entry.name}" if path else entry.name
        if entry.is_dir(follow_symlinks=False):
            try:
                os.mkdir(place, 0o755)
            except FileExistsError:
                if not os.path.isdir(place) or os.path.islink(place):
                    _tell(inside, name, owners, warn)
                    os.unlink(place)
                    os.mkdir(place, 0o755)
            _link(entry.path, place, inside, name, owners, warn)
        else:
            try:
                _hard_link(entry.path, place)
            except FileExistsError:
                if os.path.isdir(place) and not os.path.islink(place):
                    _tell(inside, name, owners, warn)
                    shutil.rmtree(place)
                elif os.path.islink(place) or not filecmp.cmp(entry.path, place, shallow=False):
                    _tell(inside, name, owners, warn)
                    os.unlink(place)
                else:
                    continue
                _hard_link(entry.path, place)
            owners[inside] = name


def _tell(path: str, name: str, owners: dict[str, str], warn: Callable[[str], None]) -> None:
    other = owners.get(path, "another package")
    warn(f"warning: {path} is in {other} and in {name}, and not the same: {name}'s is taken")


def _hard_link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        # A file system has a bound on the names of one file (ext4: 65000).
        if error.errno != errno.EMLINK:
            raise
        shutil.copy2(source, target, follow_symlinks=False)
