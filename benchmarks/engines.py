"""Kernels as one would run them by hand with docker or podman: the same files, the connection file mounted, the host's
network."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .setup import Bench, has_docker

__all__ = ["engines"]

IMAGE = "localhost/jupyter-containers-bench/kernel"
KERNEL = ("/opt/venv/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}")
MOUNT = ("-v", "{connection_file}:{connection_file}:ro")
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")
"""podman asks for more than a process in some virtual machines may have."""


def engines(bench: Bench, layers: tuple[Path, ...]) -> Iterator[tuple[str, list[str] | None, str]]:
    """Of each engine that is installed: its name, the argv of a kernel, and where it can't run one None and why."""
    if has_docker():
        _import(["docker"], layers)
        yield "docker run", _argv(["docker", "run", "--init"]), ""
    if shutil.which("podman"):
        podman = ["podman", f"--root={bench.folder('podman')}", f"--runroot={bench.folder('podman-run')}"]
        _import(podman, layers)
        yield _podman(podman)
        subprocess.run([*podman, "rmi", "-af"], check=True, capture_output=True)
        # It keeps its store mounted within itself; an ordinary user's has files of ids that are not his.
        store = bench.folder("podman")
        undo = (
            ["umount", str(store / "overlay")] if os.geteuid() == 0 else ["podman", "unshare", "rm", "-rf", str(store)]
        )
        subprocess.run(undo, capture_output=True)


def _podman(podman: list[str]) -> tuple[str, list[str] | None, str]:
    """With its own runtime, else with runc (crun runs on no host that has control groups of both kinds)."""
    why = ""
    for runtime, options in (((), ()), (("--runtime=runc", "--cgroup-manager=cgroupfs"), LIMITS)):
        run = [*podman, *runtime, "run", *options]
        tried = subprocess.run([*run, "--rm", "--network=host", IMAGE, "true"], capture_output=True, text=True)
        if tried.returncode == 0:
            return "podman run" + (" (runc)" if runtime else ""), _argv(run), ""
        why = why or (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]
    return "podman run", None, why


def _argv(run: list[str]) -> list[str]:
    return [*run, "--rm", "--network=host", *MOUNT, IMAGE, *KERNEL]


def _import(engine: list[str], layers: tuple[Path, ...]) -> None:
    """Give it the same files."""
    parts = ["-C", str(layers[0]), ".", "-C", str(layers[-1]), "./opt/venv"]  # docker refuses a path that comes twice
    tar = subprocess.Popen(["tar", "-c", *parts], stdout=subprocess.PIPE)
    subprocess.run([*engine, "import", "-", IMAGE], stdin=tar.stdout, check=True, capture_output=True)
    tar.wait()
