"""What is kept of notebooks while this process lives, followed as they are renamed, moved and deleted.

A kernel is started with its notebook's path in ``JPY_SESSION_NAME`` (jupyter_server's ``get_kernel_env``), and started
again with the path of then. Whoever hears of a new name (:mod:`..server.naming`) tells it here, so that what belongs to
the notebook is found under the name of now, and nothing of it by another notebook that takes the old name.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["Followed", "forget_kernel", "move_notebook", "name_of"]

T = TypeVar("T")


class Followed(Generic[T]):
    """Values of files, by their paths, however these are written."""

    def __init__(self) -> None:
        self._values: dict[str, T] = {}
        self._guard = threading.Lock()

    def put(self, path: Path, value: T | None) -> None:
        """None: it has none any more."""
        with self._guard:
            self._values.pop(os.path.realpath(path), None)
            if value is not None:
                self._values[os.path.realpath(path)] = value

    def get(self, path: Path) -> T | None:
        with self._guard:
            return self._values.get(os.path.realpath(path))

    def move(self, before: Path, after: Path) -> None:
        """*before*, a file or a folder, is called *after* by now."""
        old, new = _entry(before), _entry(after)
        with self._guard:
            taken = {path: self._values.pop(path) for path in [*self._values] if _is_in(path, old)}
            _drop(self._values, new)
            self._values |= {new + path[len(old) :]: value for path, value in taken.items()}

    def forget(self, path: Path) -> None:
        """*path*, a file or a folder, is gone."""
        with self._guard:
            _drop(self._values, _entry(path))


_kernels: dict[str, str] = {}
"""The notebook of each kernel of this process that has been started, absolute, by the kernel's id."""
_guard = threading.Lock()


def name_of(kernel_id: str, given: str) -> str:
    """What the notebook of a kernel is called now, which is *given* at its first start. No absolute path: no notebook
    that could be followed."""
    if not kernel_id or not Path(given).is_absolute():
        return given
    with _guard:
        return _kernels.setdefault(kernel_id, given)


def forget_kernel(kernel_id: str) -> None:
    """It is not started again."""
    with _guard:
        _kernels.pop(kernel_id, None)


def move_notebook(before: Path, after: Path) -> None:
    """A notebook, or a folder of some, is called *after* by now: kernels that are started again take that name."""
    old, new = _entry(before), _entry(after)
    with _guard:
        for kernel_id, name in _kernels.items():
            entry = _entry(Path(name))
            if _is_in(entry, old):
                _kernels[kernel_id] = new + entry[len(old) :]


def _entry(path: Path) -> str:
    """*path* itself, also where it is a link: that is what is renamed."""
    return str(path.parent.resolve() / path.name)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _drop(values: dict[str, T], folder: str) -> None:
    for path in [*values]:
        if _is_in(path, folder):
            del values[path]
