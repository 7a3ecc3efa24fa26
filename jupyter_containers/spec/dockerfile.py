"""A Dockerfile that a spec is built on, as far as a spec goes: which one, and whether it is the same as before.

What is in it is read by :mod:`..build.dockerfile`.
"""

from __future__ import annotations

import hashlib
import posixpath

import msgspec

from .assembly import Assembly
from .files import DOCKERFILES
from .model import LoadedSpec
from .reading import Folder
from .walk import Place

__all__ = ["dockerfile_digest", "is_dockerfile", "read_dockerfile"]


def is_dockerfile(name: str) -> bool:
    """Whether a file is called as Dockerfiles are: ``Dockerfile``, ``Dockerfile.gpu``, ``gpu.Dockerfile``."""
    base = posixpath.basename(name)
    return any(base == one or base.startswith(f"{one}.") or base.endswith(f".{one}") for one in DOCKERFILES)


def read_dockerfile(assembly: Assembly, name: str) -> None:
    """A folder's Dockerfile as its spec. The folder is the build context, as repo2docker has it for ``binder/`` too."""
    assembly.folder.read(name)  # a link that leads out is told here
    place = Place(assembly.folder.shown(name))
    assembly.set(("build", "dockerfile"), name, place)
    assembly.use(name, "what the image is built from; the folder is its build context")


def dockerfile_digest(loaded: LoadedSpec) -> str:
    """A hash of the spec's Dockerfile and of what it is built with; empty where there is none.

    :class:`SpecError` where it can't be read. Of the files that it copies only the names have a say.
    """
    build = loaded.spec.build
    if not build.dockerfile:
        return ""
    text = Folder(loaded.folder).read(build.dockerfile)
    with_it = msgspec.json.encode([build.context, build.target, sorted(build.args.items())])
    return hashlib.sha256(hashlib.sha256(text).digest() + with_it).hexdigest()
