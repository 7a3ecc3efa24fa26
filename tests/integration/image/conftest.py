"""Other people's programs, where the host has them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def docker(docker_engine: None) -> Callable[..., str]:
    def run(*argv: str) -> str:
        done = subprocess.run(["docker", *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def busybox() -> Path:
    for name in ("/bin/busybox", "/usr/bin/busybox"):
        path = Path(name)
        if path.exists() and b"ld-linux" not in path.read_bytes()[:4096]:
            return path
    pytest.skip("needs a static busybox (apt-get install busybox-static)")
