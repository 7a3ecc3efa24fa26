"""A case: a folder with a Dockerfile, what it is built with, and what must come out (``cases/README.md``)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from jupyter_containers.build.dockerfile.builder import Request
from jupyter_containers.environments import Environments
from jupyter_containers.image.model import Image
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import BindMount

CASES = Path(__file__).parent / "cases"


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    docker: bool = True
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
