"""The virtual environment of an image: prepared wheels linked together into one tree.

Files are hard links to the prepared ones, so that ten environments with one numpy hold it once on disk. The
environment itself is three links and ``pyvenv.cfg`` (PEP 405); nothing of the host's Python gets into it.
"""

# Tens of thousands of entries: strings are several times quicker than pathlib.
# ruff: noqa: PTH102, PTH108, PTH120

from __future__ import annotations

import errno
import filecmp
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from ..image.tree import remove_tree
from ..lock.model import Interpreter

__all__ = ["link_trees", "make_environment"]


def make_environment(folder: Path, interpreter: Interpreter) -> None:
    """The environment's own files; *folder* is where ``interpreter.environment`` is in the layer.

    Made after the packages are linked, in place of what a package may have had there: a wheel that brings a
    ``bin/python`` does not get to be the interpreter.
    """
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "lib" / f"python{interpreter.version}" / "site-packages").mkdir(parents=True, exist_ok=True)
    links = {"python": interpreter.path, "python3": "python", f"python{interpreter.version}": "python"}
    for name, target in links.items():
        place = folder / "bin" / name
        if os.path.lexists(place):
            remove_tree(place)
        place.symlink_to(target)
    if not os.path.lexists(folder / "lib64"):
        (folder / "lib64").symlink_to("lib")
    configuration = folder / "pyvenv.cfg"
    remove_tree(configuration)
    seen = "true" if interpreter.system_packages else "false"
    configuration.write_text(
        f"home = {os.path.dirname(interpreter.path)}\ninclude-system-site-packages = {seen}\n"
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

    def tell(path: str, number: int) -> None:
        inside = os.path.relpath(path, folder)
        others = [names[at] for at in range(number) if os.path.lexists(trees[at] / inside)]
        taken = f"{names[number]}'s is taken"
        warn(f"warning: {inside} is in {', '.join(others)} and in {names[number]}, and not the same: {taken}")

    for number, tree in enumerate(trees):
        _link(str(tree), str(folder), lambda path, number=number: tell(path, number))  # type: ignore[misc]
        progress("packages", number + 1, len(trees))


def _link(source: str, target: str, tell: Callable[[str], None]) -> None:
    """Link what is in *source* into the folder *target*; *tell* is called with each place that is taken over."""
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                try:
                    os.mkdir(place, 0o755)
                except FileExistsError:
                    if not stat.S_ISDIR(os.lstat(place).st_mode):
                        tell(place)
                        os.unlink(place)
                        os.mkdir(place, 0o755)
                _link(entry.path, place, tell)
                continue
            try:
                _hard_link(entry.path, place)
            except FileExistsError:
                if _make_room(entry.path, place, tell):
                    _hard_link(entry.path, place)


def _make_room(source: str, place: str, tell: Callable[[str], None]) -> bool:
    """Take away what is at *place*, unless it is a file with the same bytes as *source*."""
    mode = os.lstat(place).st_mode
    if stat.S_ISDIR(mode):
        tell(place)
        shutil.rmtree(place)
        return True
    both = stat.S_ISREG(mode) and stat.S_ISREG(os.lstat(source).st_mode)  # a link would be followed on the host
    if both and filecmp.cmp(source, place, shallow=False):
        return False
    tell(place)
    os.unlink(place)
    return True


def _hard_link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        # A file system has a bound on the names of one file (ext4: 65000).
        if error.errno != errno.EMLINK:
            raise
        shutil.copy2(source, target, follow_symlinks=False)
