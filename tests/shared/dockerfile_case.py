"""A case: a folder with a Dockerfile, what it is built with, and what must come out (``cases/README.md``)."""

from __future__ import annotations

import hashlib
import stat
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from jupyter_containers.build.dockerfile.builder import Request
from jupyter_containers.build.dockerfile.selection import list_items
from jupyter_containers.build.dockerfile.work import image_source
from jupyter_containers.environments import Environments
from jupyter_containers.image.model import Image
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import BindMount

CASES = Path(__file__).parents[1] / "integration/build/dockerfile/cases"
MADE_BY_ENGINES = {
    ".dockerenv", "dev", "proc", "sys", "run", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab",
    "dev/console", "dev/pts", "dev/shm",
}  # fmt: skip
"""What an engine puts in every container."""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    docker: bool = True
    buildah: bool = True
    args: dict[str, str] = {}
    target: str = ""
    secrets: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    config: dict[str, Any] = {}

    def request(self, folder: Path, **more: Any) -> Request:
        secrets = {name: value.encode() for name, value in self.secrets.items()}
        return Request(context=folder, arguments=self.args, target=self.target, secrets=secrets, **more)


def read_case(name: str) -> Case:
    return msgspec.convert(tomllib.loads((CASES / name / "case.toml").read_text()), Case)


def case_names() -> list[str]:
    return [folder.name for folder in sorted(CASES.iterdir()) if folder.is_dir()]


def verify(image: Image, folder: Path, paths: Paths) -> tuple[int, str]:
    """Run the case's script in a container of *image*; its status and output."""
    container = Environments(paths).create(
        image.digest, ("/bin/sh", "/case/verify"), mounts=(BindMount(source=str(folder), target="/case"),), cwd="/",
        user="root", die_with_parent=True,
    )  # fmt: skip
    try:
        container.start()
        return container.wait(60), container.logs()
    finally:
        container.remove(force=True)


def tree_of(image: Image, store: Store) -> dict[str, tuple[str, int, str]]:
    """What an image holds, by path: kind, mode, and the target of a link or the hash of a file."""
    result = {}
    for entry in list_items(image_source(image.layers, store, name="the image"), ""):
        mode = entry.item.mode
        if not entry.path or entry.path in MADE_BY_ENGINES:
            continue
        if stat.S_ISLNK(mode):
            result[entry.path] = ("link", 0o777, entry.target)
        elif stat.S_ISDIR(mode):
            result[entry.path] = ("folder", stat.S_IMODE(mode), "")
        else:
            result[entry.path] = (
                "file",
                stat.S_IMODE(mode),
                hashlib.sha256(entry.item.file.read_bytes()).hexdigest(),
            )
    return result
