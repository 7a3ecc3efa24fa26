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
    return tuple(
        Problem(
            file=str(loaded.file or loaded.folder),
            key=f"mounts[{at}].source",
            cause=f"{mount.source!r} does not exist ({mount_source(loaded, mount)})",
            remedy="Make it, or correct the path; it starts at the spec's folder unless it starts with `/` or `~`",
        )
        for at, mount in enumerate(loaded.spec.mounts)
        if not mount_source(loaded, mount).exists()
    )


def find_missing_inputs(loaded: LoadedSpec) -> tuple[Problem, ...]:
    """A problem for each copy, local Python package and Dockerfile that does not exist in the spec's folder."""
    build = loaded.spec.build
    docker = [("build.dockerfile", build.dockerfile), ("build.context", build.context)] if build.dockerfile else []
    copies = [(f"build.copy[{at}].source", item.source) for at, item in enumerate(loaded.spec.build.copy)]
    packages = [
        (f"packages.pip[{at}]", path)
        for at, item in enumerate(loaded.spec.packages.pip)
        if (path := local_path(item)) is not None
    ]
    return tuple(
        Problem(
            file=str(loaded.file or loaded.folder),
            key=key,
            cause=f"{path!r} does not exist",
            remedy=f"Make it, or correct the path; it starts at {loaded.folder}",
        )
        for key, path in (*docker, *copies, *packages)
        if not (loaded.folder / path).exists()
    )
