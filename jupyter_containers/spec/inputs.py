"""What a spec takes from outside of its text: mounts and copies. Checked when they are needed, not when it is read.

A mount's folder may be on a disk that is not plugged in while the environment is listed or built.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import Problem
from .model import LoadedSpec, Mount
from .requirement import local_path

__all__ = ["find_missing_inputs", "find_missing_mounts", "mount_source"]


def mount_source(loaded: LoadedSpec, mount: Mount) -> Path:
    """The absolute path of *mount* on this host."""
    return loaded.folder / Path(mount.source).expanduser()


def find_missing_mounts(loaded: LoadedSpec) -> tuple[Problem, ...]:
    """A problem for each mount whose source does not exist on this host."""
    missing = []
    for at, mount in enumerate(loaded.spec.mounts):
        source = mount_source(loaded, mount)
        if not source.exists():
            remedy = "it starts at the spec's folder unless it starts with `/` or `~`"
            cause = f"{mount.source!r} does not exist ({source})"
            missing.append(_problem(loaded, ("mounts", at, "source"), mount.source, cause, remedy))
    return tuple(missing)


def find_missing_inputs(loaded: LoadedSpec) -> tuple[Problem, ...]:
    """A problem for each copy, local Python package and Dockerfile that does not exist in the spec's folder."""
    build = loaded.spec.build
    inputs: list[tuple[tuple[str | int, ...], str]] = []
    if build.dockerfile:
        inputs = [(("build", "dockerfile"), build.dockerfile), (("build", "context"), build.context)]
    inputs += [(("build", "copy", at, "source"), item.source) for at, item in enumerate(build.copy)]
    inputs += [
        (("packages", "pip", at), path)
        for at, item in enumerate(loaded.spec.packages.pip)
        if (path := local_path(item)) is not None
    ]
    return tuple(
        _problem(loaded, key, path, f"{path!r} does not exist", f"it starts at {loaded.folder}")
        for key, path in inputs
        if not (loaded.folder / path).exists()
    )


def _problem(loaded: LoadedSpec, key: tuple[str | int, ...], value: str, cause: str, start: str) -> Problem:
    from .places import find_line  # late: for mistakes only
    from .walk import show_key

    return Problem(
        file=str(loaded.file or loaded.folder),
        line=find_line(loaded, key, value),
        key=show_key(key),
        cause=cause,
        remedy=f"Make it, or correct the path; {start}",
    )
