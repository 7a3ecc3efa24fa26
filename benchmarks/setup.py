"""What the benchmarks share: a home of their own, environments in it, the command line, and which peers are here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Bench", "docker_image", "has_docker"]

HOME = Path(os.environ.get("JUPYTER_CONTAINERS_BENCH_HOME", Path(tempfile.gettempdir()) / f"jc-bench-{os.geteuid()}"))
"""Kept between runs: downloads are not what is measured."""

DOCKER_BASE = "jupyter-containers-bench/debian:trixie"


class Bench:
    """A home for environments (kept) and scratch folders (removed at the end)."""

    def __init__(self) -> None:
        self._near: set[Path] = set()
        self._scratch = tempfile.TemporaryDirectory(prefix="jc-bench-")
        self.env = os.environ | {"JUPYTER_CONTAINERS_HOME": str(HOME), "JUPYTER_DATA_DIR": str(HOME / "jupyter")}
        # An installed package has byte code; without it each start would compile the sources of an editable install.
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scratch.cleanup()
        for folder in self._near:
            shutil.rmtree(folder, ignore_errors=True)

    def folder(self, name: str) -> Path:
        folder = Path(self._scratch.name) / name
        folder.mkdir(exist_ok=True)
        return folder

    def near(self, place: Path) -> Path:
        """A scratch folder on the file system of *place*."""
        folder = place.with_name(f"{place.name}-scratch-{os.getpid()}")
        folder.mkdir(exist_ok=True)
        self._near.add(folder)
        return folder

    def spec(self, name: str, *, pip: Sequence[str] = (), apt: Sequence[str] = (), more: str = "") -> Path:
        """A folder with a spec of that name."""
        folder = HOME / "specs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "jupyter-container.toml").write_text(
            f'name = "{name}"\nbase = "debian:trixie"\n{more}\n[packages]\npip = {list(pip)}\napt = {list(apt)}\n'
        )
        return folder

    def environment(self, name: str, *, pip: Sequence[str] = (), apt: Sequence[str] = (), more: str = "") -> str:
        """Build it where it is not there yet; returns its name."""
        self.cli("build", "--quiet", str(self.spec(name, pip=pip, apt=apt, more=more)))
        return name

    def warm_kernelspec(self, name: str, *, isolate: bool = False) -> str:
        """A kernelspec beside the environment's own, whose kernels are forks, or with *isolate* of the pool."""
        kernel = f"{name}-{'pool' if isolate else 'warm'}"
        folder = HOME / "jupyter" / "kernels" / kernel
        folder.mkdir(parents=True, exist_ok=True)
        config = {"environment": name, "warm": "wait", **({"isolate": True} if isolate else {})}
        provisioner = {"provisioner_name": "jupyter-containers", "config": config}
        content = {"argv": [], "display_name": kernel, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(content | {"metadata": {"kernel_provisioner": provisioner}}))
        return kernel

    def cli(self, *argv: str, env: dict[str, str] | None = None) -> str:
        """Run ``jupyter-containers``; its standard output."""
        result = subprocess.run(
            [sys.executable, "-m", "jupyter_containers", *argv], env=env or self.env, capture_output=True, text=True
        )
        if result.returncode:
            raise SystemExit(f"jupyter containers {' '.join(argv[:3])} …: {result.stderr}")
        return result.stdout

    def base_layer(self, environment: str) -> Path:
        """The unpacked first layer of an environment's image."""
        from jupyter_containers.image.store import Store

        return Store(HOME / "store").image(environment).layers[0].path


def has_docker() -> bool:
    """Whether a docker engine answers."""
    return (
        bool(shutil.which("docker"))
        and subprocess.run(["docker", "info"], capture_output=True, text=True).returncode == 0
    )


def docker_image() -> str:
    """The base of docker's side: the same suite with Python, imported once from mmdebstrap's tree."""
    if subprocess.run(["docker", "image", "inspect", DOCKER_BASE], capture_output=True).returncode:
        with tempfile.TemporaryDirectory() as folder:
            tree = f"{folder}/trixie.tar"
            include = "--include=python3,python3-pip,python3-venv,ca-certificates"
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", include, "trixie", tree, mirror()], check=True
            )
            subprocess.run(["docker", "import", tree, DOCKER_BASE], check=True, capture_output=True)
    return DOCKER_BASE


def mirror() -> str:
    """The Debian archive that this program itself would take."""
    from jupyter_containers.lock.settings import Settings

    return Settings.current().debian_archives[0]


def clock(argv: Sequence[str], **options: object) -> float:
    """Seconds that a command takes; it must succeed."""
    start = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True, **options)  # type: ignore[call-overload]
    return time.perf_counter() - start
